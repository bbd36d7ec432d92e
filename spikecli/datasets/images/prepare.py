"""Prepared images: read from CIFAR's binary files, one HDF5 file a split under DATA_DIR/NAME."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikecli.datasets.described import described
from spikecli.datasets.facts_file import prepare_again
from spikecli.datasets.images.facts import ImageFacts
from spikecli.datasets.images.picture import read_picture
from spikecli.datasets.own_sample import OwnSample, by_split
from spikecli.datasets.prepare_options import PrepareOptions, refuse_point_options, refuse_split_order
from spikecli.datasets.record import (
    Entry,
    RecordOf,
    check_file,
    content_hash,
    current_entry,
    current_part,
    part_of,
    settings_key,
    standing,
    write_record,
)
from spikecli.datasets.walk import identify, walk
from spikecli.errors import SpikeError, named
from spikecli.files.archive import open_source
from spikecli.files.atomic import sole_writer
from spikecli.files.download import Fetching, fetch
from spikecli.files.gate import reading
from spikecli.files.hdf5 import atomic_hdf5, check_labels, stored
from spikecli.progress import Progress

RECORD = RecordOf("images")
SHAPE = (3, 32, 32)
_FORMAT = 1  # raise it when the meaning of a prepared file changes
_PIXELS = 3 * 32 * 32
_AT_ONCE = 32  # pictures that are read before they are written


@dataclass(frozen=True)
class Images:
    """One split; the images stay in the file until they are read."""

    images: np.ndarray  # uint8 (S, 3, H, W)
    labels: np.ndarray  # int64 (S,), places in classnames
    classnames: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: str  # sha256 of the content

    static: ClassVar[bool] = True
    unit_name: ClassVar[str] = "images"
    kind: ClassVar[str] = "images"

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return all or the chosen images (S, 3, H, W); they are the same at every step."""
        return self.images if chosen is None else self.images[chosen]


def read_binary(path: Path, facts: ImageFacts) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (S, 3, 32, 32) uint8 and labels (S,) of a file of fixed-size records: labels, then pixels.

    Raise SpikeError if the file ends within a record or names a class that is not there.
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


def load_images(data_dir: Path, dataset: str, split: str) -> Images:
    """Return a split as prepared last; raise SpikeError if it is not prepared or its file is damaged."""
    path, _, part = current_part(data_dir, dataset, split, RECORD)
    with stored(path, prepare_again(path)) as file:
        images, classnames = file.mapped("images", "u", None, 3, None, None), file.texts("classnames")
        if images.dtype != np.uint8 or file.text("sha256") != part["fingerprint"]:
            raise SpikeError(f"{path} holds other images than its record says; {prepare_again(path)}")
        return Images(
            images=images,
            labels=check_labels(path, file.array("labels", "i", len(images)), len(classnames)),
            classnames=classnames,
            dataset=dataset,
            split=split,
            fingerprint=file.text("sha256"),
        )


def prepare_images(
    facts: ImageFacts,
    data_dir: Path,
    options: PrepareOptions,
    progress: Progress = Progress(),
    workers: int | None = None,
) -> dict[str, Any]:
    """Prepare a data set under DATA_DIR/NAME and return its description as `describe_images` does, with "reused".

    Raise SpikeError if there is no source, it lacks a file or holds a broken one, or another process prepares the same.
    """
    refuse_point_options(facts.name, facts.kind, options)
    refuse_split_order(facts.name, options)
    name, place = facts.name, data_dir / facts.name
    wanted: dict[str, Any] = {"dataset": name, "format": _FORMAT}
    if options.source is not None:
        wanted["source"] = identify(options.source)
    with sole_writer(place, f"preparing {name}", options.wait):
        reused = not options.force and standing(place, RECORD, wanted) is not None
        if not reused:
            fetching = Fetching(offline=options.offline, on_phase=progress.on_phase, on_step=progress.on_step)
            source = options.source or fetch(facts.remotes[0], place / "raw", fetching)
            settings = {**wanted, "source": identify(source)}
            progress.on_phase(f"Preparing {name}", None)
            with open_source(source, place, progress.on_step) as folder, _naming(source, folder):
                splits = {
                    split: _write(facts, split, [_found(folder, file, source) for file in files], place, settings)
                    for split, files in facts.files
                }
            entry = {"settings": settings, "skipped": [], "splits": splits}
            write_record(place, RECORD, settings_key(settings), entry)
    return {**describe_images(facts, data_dir), "reused": reused}


def write_own(facts: ImageFacts, place: Path, samples: Sequence[OwnSample], source: str, progress: Progress) -> Entry:
    """Return the record's entry of a user's pictures after writing them; raise SpikeError if one cannot be read."""
    settings = {"dataset": facts.name, "format": _FORMAT, "size": list(facts.size), "source": source}
    settings |= {"fit": facts.fit} if facts.fit != "squeeze" else {}  # else data of before would be prepared again
    splits = {}
    for split, chosen, labels in by_split(samples, facts.folders):
        images = _read(facts, chosen, progress)
        splits[split] = _write_arrays(facts, split, images, np.array(labels, np.int64), place, settings)
    return {"settings": settings, "skipped": [], "splits": splits}


def _read(facts: ImageFacts, samples: Sequence[OwnSample], progress: Progress) -> Iterator[np.ndarray]:
    """Yield a user's pictures, some at a time, at the size of the data set."""
    for start in range(0, len(samples), _AT_ONCE):
        part = samples[start : start + _AT_ONCE]
        yield np.stack([read_picture(one.path, facts.size, facts.fit) for one in part])
        progress.on_step(len(part))


def describe_images(facts: ImageFacts, data_dir: Path) -> dict[str, Any]:
    """Return the facts of a data set and its prepared images; raise SpikeError if the record is damaged."""

    def counted(entry: Entry) -> dict[str, Any]:
        return {"official": {split: part["samples"] for split, part in entry["splits"].items()} == dict(facts.sizes)}

    return described(facts, data_dir, RECORD, {}, counted)


def verify_images(facts: ImageFacts, data_dir: Path, progress: Progress = Progress()) -> dict[str, Any]:
    """Return images and sha256 of each split after reading it all; raise SpikeError if one bit changed."""
    name = facts.name
    place, entry = current_entry(data_dir, name, RECORD)
    progress.on_phase(f"Verifying {name}", len(entry["splits"]))
    report = {}
    for split, part in sorted(entry["splits"].items()):
        path = place / part["file"]
        check_file(path, part)
        images = load_images(data_dir, name, split)
        found = _images_hash([images.images], images.images.shape, images.labels, images.classnames)
        if found != part["fingerprint"]:
            raise SpikeError(
                f"{path} has the content {found[:12]}, not {part['fingerprint'][:12]} as prepared; "
                f"{prepare_again(path)}"
            )
        report[split] = {"samples": len(images.labels), "sha256": found}
        progress.on_step(1)
    return {"dataset": name, "splits": report}


@contextmanager
def _naming(source: Path, folder: Path) -> Iterator[None]:
    """Make errors name the archive and the file in it, not the temporary folder."""
    try:
        yield
    except SpikeError as problem:
        text = str(problem).replace(f"{folder}/", f"{source}: " if folder != source else f"{source}/")
        raise SpikeError(text) from None


def _found(folder: Path, name: str, source: Path) -> Path:
    found = [path for path in walk(folder) if path.name == name]
    if found:
        return found[0]
    if any(path.name in ("data_batch_1", "batches.meta", "meta", "train") for path in walk(folder)):
        raise SpikeError(
            f"{source} is the Python version, whose pickles could run code when read; give the binary version "
            f"(…-binary.tar.gz) with {named('source')}"
        )
    raise SpikeError(f"found no {name} in {source}; give the binary version's archive or folder with {named('source')}")


def _write(facts: ImageFacts, split: str, files: list[Path], place: Path, settings: dict[str, Any]) -> dict[str, Any]:
    parts = [read_binary(path, facts) for path in files]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _write_arrays(facts, split, [images], labels, place, settings)


def _write_arrays(
    facts: ImageFacts,
    split: str,
    batches: Iterable[np.ndarray],
    labels: np.ndarray,
    place: Path,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Return the record of a split after writing its images, which come in `batches` (B, 3, H, W), as they come."""
    path, shape = place / f"{split}-{settings_key(settings)}.h5", (len(labels), 3, *facts.size)
    with atomic_hdf5(path) as file:
        stored_images = file.create_dataset("images", shape, np.uint8)

        def written() -> Iterator[np.ndarray]:
            done = 0
            for batch in batches:
                stored_images[done : done + len(batch)] = batch
                done += len(batch)
                yield batch

        fingerprint = _images_hash(written(), shape, labels, facts.classnames)
        file.create_dataset("labels", data=labels, dtype="<i8")
        file.create_dataset("classnames", data=list(facts.classnames))
        file.attrs.update(sha256=fingerprint, settings=json.dumps(settings, sort_keys=True))
    return part_of(path, len(labels), fingerprint)


def _images_hash(
    batches: Iterable[np.ndarray], shape: tuple[int, ...], labels: np.ndarray, classnames: tuple[str, ...]
) -> str:
    columns = itertools.chain(batches, [labels.astype("<i8")])
    return content_hash([list(classnames), list(shape)], (np.ascontiguousarray(each).data for each in columns))
