"""Prepared images: read from CIFAR's binary files, one HDF5 file a split under DATA_DIR/NAME."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikecli.datasets.images.facts import IMAGE_SETS, ImageSetFacts
from spikecli.datasets.order import Order, identify
from spikecli.datasets.splits_record import check_file, current_entry, read_record, write_record
from spikecli.errors import SpikeError
from spikecli.files.archive import open_source
from spikecli.files.atomic import sole_writer
from spikecli.files.download import Fetching, fetch
from spikecli.files.gate import file_hash, reading
from spikecli.files.hdf5 import anew, atomic_hdf5, check_labels, stored
from spikecli.progress import Watch

SHAPE = (3, 32, 32)
_FORMAT = 1  # raise it when the meaning of a prepared file changes
_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Images:
    """One split in memory."""

    images: np.ndarray  # uint8 (S, 3, 32, 32)
    labels: np.ndarray  # int64 (S,), places in classnames
    classnames: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: str  # sha256 of the content

    static: ClassVar[bool] = True
    unit_name: ClassVar[str] = "images"

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return all images (S, 3, 32, 32) or the chosen, the same at every step."""
        return self.images if chosen is None else self.images[chosen]


def read_binary(path: Path, facts: ImageSetFacts) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (S, 3, 32, 32) uint8 and labels (S,) of a file of fixed-size records: labels, then pixels.

    SpikeError when the file ends within a record or names a class that is not there.
    """
    with reading(path, "fetch it again"):
        content = np.fromfile(path, np.uint8)
    size = facts.labels + _PIXELS
    if len(content) == 0 or len(content) % size:
        raise SpikeError(f"{path} has {len(content)} bytes; wanted records of {size} bytes each; fetch it again")
    records = content.reshape(-1, size)
    labels = records[:, facts.labels - 1].astype(np.int64)
    if labels.max() >= len(facts.classnames):
        raise SpikeError(
            f"{path} names class {labels.max()}; wanted 0 to {len(facts.classnames) - 1}; is it of {facts.name}?"
        )
    return np.ascontiguousarray(records[:, facts.labels :]).reshape(-1, *SHAPE), labels


def read_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Return the picture in a file as (3, H, W) uint8, scaled to `size`; SpikeError when it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))
    except UnidentifiedImageError:
        raise SpikeError(f"{path} is no picture that can be read here; give a .png or .jpg") from None
    except OSError as error:
        raise SpikeError(f"cannot read {path} ({error.strerror or error}); check the path") from None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def load_images(data_dir: Path, dataset: str, split: str) -> Images:
    """Return a split as prepared last; SpikeError when it is not prepared or its file is damaged."""
    place, entry = current_entry(data_dir, dataset, "images")
    if split not in entry["splits"]:
        raise SpikeError(f"{dataset} has no split {split!r}; wanted one of {', '.join(sorted(entry['splits']))}")
    path = place / entry["splits"][split]["file"]
    with stored(path, anew(path)) as file:
        images, classnames = file.array("images", "u", None, *SHAPE), file.texts("classnames")
        if images.dtype != np.uint8 or file.text("sha256") != entry["splits"][split]["sha256"]:
            raise SpikeError(f"{path} holds other images than its record says; {anew(path)}")
        return Images(
            images=images,
            labels=check_labels(path, file.array("labels", "i", len(images)), len(classnames)),
            classnames=classnames,
            dataset=dataset,
            split=split,
            fingerprint=file.text("sha256"),
        )


def prepare_images(data_dir: Path, name: str, order: Order, watch: Watch = Watch()) -> dict[str, Any]:
    """Return what stands prepared under DATA_DIR/NAME afterwards, as `describe_images`, with "reused".

    SpikeError when there is no source, it lacks a file or holds a broken one, or another process prepares the same.
    """
    facts, place = IMAGE_SETS[name], data_dir / name
    wanted: dict[str, Any] = {"dataset": name, "format": _FORMAT}
    if order.source is not None:
        wanted["source"] = identify(order.source)
    with sole_writer(place, f"preparing {name}"):
        reused = not order.force and _stands(place, wanted)
        if not reused:
            fetching = Fetching(offline=order.offline, on_phase=watch.on_phase, on_step=watch.on_step)
            source = order.source or fetch(facts.remotes[0], place / "raw", fetching)
            settings = {**wanted, "source": identify(source)}
            watch.on_phase(f"Preparing {name}", None)
            with open_source(source, place, watch.on_step) as folder, _naming(source, folder):
                splits = {
                    split: _write(facts, split, [_found(folder, file, source) for file in files], place, settings)
                    for split, files in facts.files
                }
            write_record(place, {"settings": settings, "splits": splits}, "images")
    return {**describe_images(data_dir, name), "reused": reused}


def describe_images(data_dir: Path, name: str) -> dict[str, Any]:
    """Return the facts of the data set `name` and, where it is prepared, its images a split."""
    facts, place = IMAGE_SETS[name], data_dir / name
    entry = read_record(place, "images")
    splits = entry["splits"] if entry else {}
    samples = {split: part["samples"] for split, part in splits.items()}
    files = [place / part["file"] for part in splits.values()]
    return {
        "dataset": name,
        "description": facts.description,
        "classes": len(facts.classnames),
        "classnames": list(facts.classnames),
        "whole_set": dict(facts.sizes),
        "terms": facts.terms,
        "prepared": entry is not None,
        "folder": str(place),
        "samples": samples,
        "official": samples == dict(facts.sizes),
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "settings": entry["settings"] if entry else None,
        "urls": [url for remote in facts.remotes for url in remote.urls],
    }


def verify_images(data_dir: Path, name: str, watch: Watch = Watch()) -> dict[str, Any]:
    """Return images and sha256 of each split after reading it all; SpikeError when one bit changed."""
    place, entry = current_entry(data_dir, name, "images")
    watch.on_phase(f"Verifying {name}", len(entry["splits"]))
    report = {}
    for split, part in sorted(entry["splits"].items()):
        check_file(place / part["file"], part)
        images = load_images(data_dir, name, split)
        found = _content_hash(images.images, images.labels, images.classnames)
        if found != part["sha256"]:
            raise SpikeError(
                f"{data_dir / name / part['file']} has the content {found[:12]}, not {part['sha256'][:12]} as "
                f"prepared; run `spikecli data prepare {name} --force`"
            )
        report[split] = {"samples": len(images.labels), "sha256": found}
        watch.on_step(1)
    return {"dataset": name, "splits": report}


@contextmanager
def _naming(source: Path, folder: Path) -> Iterator[None]:
    """Let errors name the archive and the file in it, instead of the folder that is gone by then."""
    try:
        yield
    except SpikeError as problem:
        text = str(problem).replace(f"{folder}/", f"{source}: " if folder != source else f"{source}/")
        raise SpikeError(text) from None


def _stands(place: Path, wanted: dict[str, Any]) -> bool:
    entry = read_record(place, "images")
    if entry is None or not all((place / part["file"]).is_file() for part in entry["splits"].values()):
        return False
    return all(entry["settings"].get(key) == value for key, value in wanted.items())


def _found(folder: Path, name: str, source: Path) -> Path:
    found = sorted(folder.rglob(name))
    if found:
        return found[0]
    if any(path.name in ("data_batch_1", "batches.meta", "meta", "train") for path in folder.rglob("*")):
        raise SpikeError(
            f"{source} is the Python version, whose pickles could run code when read; give the binary version "
            "(…-binary.tar.gz) with --from"
        )
    raise SpikeError(f"found no {name} in {source}; give the binary version's archive or folder with --from")


def _write(
    facts: ImageSetFacts, split: str, files: list[Path], place: Path, settings: dict[str, Any]
) -> dict[str, Any]:
    parts = [read_binary(path, facts) for path in files]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    path, fingerprint = place / f"{split}-{key}.h5", _content_hash(images, labels, facts.classnames)
    with atomic_hdf5(path) as file:
        file.create_dataset("images", data=images)
        file.create_dataset("labels", data=labels, dtype="<i8")
        file.create_dataset("classnames", data=list(facts.classnames))
        file.attrs.update(sha256=fingerprint, settings=json.dumps(settings, sort_keys=True))
    return {"file": path.name, "samples": len(labels), "sha256": fingerprint, "file_sha256": file_hash(path)}


def _content_hash(images: np.ndarray, labels: np.ndarray, classnames: tuple[str, ...]) -> str:
    digest = hashlib.sha256(json.dumps([list(classnames), list(images.shape)]).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()
