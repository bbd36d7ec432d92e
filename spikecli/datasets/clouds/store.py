"""Prepared clouds: one HDF5 file a split under DATA_DIR/NAME, named after the settings that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikecli.datasets.clouds.geometry import normalize_unit_sphere
from spikecli.datasets.facts import Facts
from spikecli.datasets.facts_file import prepare_again, prepare_command
from spikecli.datasets.record import RecordOf, check_file, content_hash, current_entry, current_part, read_record
from spikecli.errors import SpikeError
from spikecli.files.gate import at_least
from spikecli.files.hdf5 import atomic_hdf5, check_labels, stored
from spikecli.progress import Progress

FORMAT = 1  # raise it when the meaning of a prepared file changes
RECORD = RecordOf("points", {"points": at_least(1), "sampling": str, "seed": at_least(0)}, variants=True)


@dataclass(frozen=True)
class PointClouds:
    """One split in memory; each cloud is centered, in the unit sphere, and its first n points are a fair subset."""

    points: np.ndarray  # float32 (S, N, 3), or (S, N, 6) with normals
    labels: np.ndarray  # int64 (S,), places in classnames
    names: tuple[str, ...]  # source file stem of each cloud
    classnames: tuple[str, ...]
    dataset: str
    split: str
    fingerprint: str  # sha256 of the content as stored, for any number of points loaded

    static: ClassVar[bool] = True
    unit_name: ClassVar[str] = "clouds"
    kind: ClassVar[str] = "points"

    def inputs(self, timesteps: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return the points (S, N, 3 or 6) of all or the chosen clouds; they are the same at every step."""
        return self.points if chosen is None else self.points[chosen]


def load_points(
    data_dir: Path, dataset: str, split: str, points: int | None = None, inputs: int | None = None
) -> PointClouds:
    """Return a split as prepared last, cut to the first `points` of each cloud, which are then normalized again.

    `inputs` 3 leaves normals out, None takes those that are there. Raise SpikeError if the data set or the split is not
    prepared, is damaged, or has fewer than `points` points or no normals where `inputs` is 6.
    """
    path, entry, part = current_part(data_dir, dataset, split, RECORD)
    kept = int(entry["settings"]["points"])
    wanted = kept if points is None else points
    if not 0 < wanted <= kept:
        raise SpikeError(
            f"{path} holds {kept} points a cloud, wanted {wanted}; run "
            f"{prepare_command(path.parent, f'--points {wanted}')}, or ask for {kept} or fewer"
        )
    clouds = read_split(path)
    if clouds.points.shape[1] != kept or clouds.fingerprint != part["fingerprint"]:
        raise SpikeError(f"{path} holds other clouds than its record says; {prepare_again(path)}")
    found = clouds.points[:, :wanted]
    if inputs is not None and found.shape[2] < inputs:
        raise SpikeError(
            f"{path} holds points without normals, wanted those too; run "
            f"{prepare_command(path.parent, f'--points {kept} --normals')}"
        )
    found = found[..., :inputs]
    return replace(clouds, points=found if wanted == kept else normalize_unit_sphere(found))


def clouds_hash(
    points: np.ndarray, labels: np.ndarray, names: Sequence[str], classnames: Sequence[str], where: Sequence[str]
) -> str:
    """Return the sha256 of a split's content; `where` is its data set and split."""
    columns = np.ascontiguousarray(points, dtype="<f4").data, np.ascontiguousarray(labels, dtype="<i8").data
    return content_hash([list(names), list(classnames), list(where)], [repr(points.shape).encode(), *columns])


def write_split(path: Path, clouds: PointClouds, settings: Mapping[str, object]) -> None:
    """Write a split to an HDF5 file, whole or not at all; raise SpikeError if the disk is full."""
    import h5py

    text = h5py.string_dtype("utf-8")
    with atomic_hdf5(path) as file:
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


def read_split(path: Path) -> PointClouds:
    """Return the split in an HDF5 file of `write_split`; raise SpikeError if the file is damaged."""
    with stored(path, prepare_again(path)) as file:
        points = file.array("points", "f", None, None, None)
        if points.shape[2] not in (3, 6):
            raise ValueError(f"points of {points.shape[2]} numbers")
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


def verify_points(facts: Facts, data_dir: Path, progress: Progress = Progress()) -> dict[str, Any]:
    """Verify the prepared files of a data set and return their checksums.

    Raise SpikeError naming the first file that is missing or differs, even in one bit.
    """
    place, _ = current_entry(data_dir, facts.name, RECORD)
    sets = (read_record(place, RECORD) or {})["sets"]
    files = []
    progress.on_phase(f"Verifying {facts.name}", sum(len(entry["splits"]) for entry in sets.values()))
    for key, entry in sets.items():
        for split, part in entry["splits"].items():
            check_file(place / part["file"], part)
            _check_content(place / part["file"], part)
            files.append({"key": key, "split": split, "path": str(place / part["file"]), "sha256": part["sha256"]})
            progress.on_step(1)
    return {"dataset": facts.name, "ok": True, "files": files}


def _check_content(path: Path, part: dict[str, Any]) -> None:
    clouds = read_split(path)
    where = (clouds.dataset, clouds.split)
    content = clouds_hash(clouds.points, clouds.labels, clouds.names, clouds.classnames, where)
    if not content == clouds.fingerprint == part["fingerprint"]:
        raise SpikeError(f"{path} holds other clouds than its record says; {prepare_again(path)}")
