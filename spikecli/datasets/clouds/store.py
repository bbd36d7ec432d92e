"""Prepared clouds: one HDF5 file a split under DATA_DIR/NAME, named after the settings that made it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.clouds.record import current, read_record
from spikecli.errors import SpikeError
from spikecli.files.atomic import atomic_path
from spikecli.files.gate import file_hash
from spikecli.files.hdf5 import anew, check_labels, stored


@dataclass(frozen=True)
class PointClouds:
    """One split in memory; each cloud is centred and in the unit sphere, and its first n points are a fair subset."""

    points: np.ndarray  # float32 (S, N, 3)
    labels: np.ndarray  # int64 (S,), places in classnames
    names: tuple[str, ...]  # source file stem of each cloud
    classnames: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: str  # sha256 of the content as stored, whatever number of points was asked for

    static: ClassVar[bool] = True
    unit_name: ClassVar[str] = "clouds"

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return the points (S, N, 3) of all clouds or of the chosen, the same at every step."""
        return self.points if chosen is None else self.points[chosen]


def load_points(data_dir: Path, dataset: str, split: str, points: int | None = None) -> PointClouds:
    """Return a split as prepared last, cut to the first `points` of each cloud, which are then normalized again.

    SpikeError when the data set or the split is not prepared, is damaged, or holds fewer points than asked for.
    """
    place, entry = current(data_dir, dataset)
    if split not in entry["splits"]:
        raise SpikeError(f"{dataset} has no split {split!r}; wanted one of {', '.join(sorted(entry['splits']))}")
    path = place / entry["splits"][split]["file"]
    kept = int(entry["settings"]["points"])
    wanted = kept if points is None else points
    if not 0 < wanted <= kept:
        raise SpikeError(
            f"{path} holds {kept} points a cloud, wanted {wanted}; run `spikecli data prepare {dataset} "
            f"--points {wanted}`, or ask for {kept} or fewer"
        )
    clouds = read_split(path)
    if clouds.points.shape[1] != kept or clouds.fingerprint != entry["splits"][split]["fingerprint"]:
        raise SpikeError(f"{path} holds other clouds than its record says; {anew(path)}")
    if wanted == kept:
        return clouds
    return replace(clouds, points=normalize_unit_sphere(clouds.points[:, :wanted]))


def content_hash(
    points: np.ndarray, labels: np.ndarray, names: Sequence[str], classnames: Sequence[str], where: Sequence[str]
) -> str:
    """Return the sha256 of a split's content; `where` is its data set and split."""
    digest = hashlib.sha256(json.dumps([list(names), list(classnames), list(where)]).encode())
    digest.update(repr(points.shape).encode())
    digest.update(np.ascontiguousarray(points, dtype="<f4").data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def write_split(path: Path, clouds: PointClouds, settings: Mapping[str, object]) -> None:
    """Write a split to an HDF5 file, whole or not at all; SpikeError when the disk is full."""
    text = h5py.string_dtype("utf-8")
    # Made in memory, since HDF5 cannot close a file that it could not write, and hides the reason.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("points", data=clouds.points, dtype="<f4")
        file.create_dataset("labels", data=clouds.labels, dtype="<i8")
        file.create_dataset("names", data=list(clouds.names), dtype=text)
        file.create_dataset("classnames", data=list(clouds.classnames), dtype=text)
        file.attrs.update(
            dataset=clouds.dataset,
            split=clouds.split,
            fingerprint=clouds.fingerprint,
            settings=json.dumps(settings, sort_keys=True),
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_split(path: Path) -> PointClouds:
    """Return the split in an HDF5 file of `write_split`; SpikeError when the file is damaged."""
    with stored(path, anew(path)) as file:
        points = file.array("points", "f", None, None, 3)
        classnames = file.texts("classnames")
        labels = check_labels(path, file.array("labels", "i", len(points)), len(classnames))
        if not np.isfinite(points).all():
            raise ValueError("points that are not finite")
        return PointClouds(
            points=points.astype(np.float32, copy=False),
            labels=labels,
            names=file.texts("names", len(points)),
            classnames=classnames,
            dataset=file.text("dataset"),
            split=file.text("split"),
            fingerprint=file.text("fingerprint"),
        )


def verify_points(data_dir: Path, name: str, on_step: Callable[[int], None] = lambda steps: None) -> dict[str, Any]:
    """Return the prepared files of a data set with their checksums, all of which hold.

    `on_step` is told of each file. SpikeError naming the first file that has gone or differs, be it in one bit.
    """
    place, _ = current(data_dir, name)
    sets = (read_record(place) or {})["sets"]
    files = []
    for key, entry in sets.items():
        for split, part in entry["splits"].items():
            _verify_file(place / part["file"], part)
            files.append({"key": key, "split": split, "path": str(place / part["file"]), "sha256": part["sha256"]})
            on_step(1)
    return {"dataset": name, "ok": True, "files": files}


def _verify_file(path: Path, part: dict[str, Any]) -> None:
    cure = anew(path)
    if not path.is_file():
        raise SpikeError(f"{path} has gone; {cure}")
    found = file_hash(path)
    if found != part["sha256"]:
        raise SpikeError(f"{path} is damaged: found sha256 {found[:12]}…, wanted {part['sha256'][:12]}…; {cure}")
    clouds = read_split(path)
    where = (clouds.dataset, clouds.split)
    content = content_hash(clouds.points, clouds.labels, clouds.names, clouds.classnames, where)
    if not content == clouds.fingerprint == part["fingerprint"]:
        raise SpikeError(f"{path} holds other clouds than its record says; {cure}")
