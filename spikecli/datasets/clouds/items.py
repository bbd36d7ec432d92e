"""List clouds to read, and read them all on every core."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.formats import Sample, read_cloud, sample_of
from spikecli.datasets.clouds.geometry import Cloud, Mesh, Sampling, turned
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.hdf5 import stored
from spikecli.machine.workers import cores, pool

_CHUNK = 32  # clouds a worker takes at a time
_WORTH_A_POOL = 2.0  # processor seconds of work left; less is done before a pool has started


@dataclass(frozen=True)
class Item:
    """One cloud before it is read: a file, or a row of an HDF5 file."""

    name: str
    label: int
    split: str
    path: Path
    row: int | None = None


@dataclass(frozen=True)
class Draw:
    """Settings for drawing points from a shape: their number, the method and the seed, and whether with normals."""

    points: int
    sampling: Sampling
    seed: int
    normals: bool = False

    @property
    def settings(self) -> dict[str, object]:
        """The settings as a record holds them: normals where there are some, as records from before have none."""
        return {name: value for name, value in asdict(self).items() if name != "normals" or value}


@dataclass(frozen=True)
class Drawn:
    """The result of reading items: points float32 (S, points, 3 or 6), their items, and why others were left out.

    `notes` are lines on what was guessed or left out of some of the files, each with its file's path.
    """

    points: np.ndarray
    items: tuple[Item, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = ()


def draw_item(item: Item, draw: Draw) -> np.ndarray:
    """Return only the points of `draw_sample`, float32 (points, 3 or 6)."""
    return draw_sample(item, draw).points


def draw_sample(item: Item, draw: Draw, options: ReadOptions = AS_FOUND) -> Sample:
    """Return the item's points float32 (points, 3 or 6), normalized; other items do not change them."""
    name = f"{draw.seed}/{item.split}/{item.label}/{item.name}".encode()
    generator = np.random.default_rng(list(hashlib.sha256(name).digest()[:16]))
    try:
        shape = _read(item, options, draw.normals)
        return sample_of(shape, draw.points, draw.sampling, generator, normals=draw.normals)
    except SpikeError as problem:
        text = str(problem)
        raise problem if str(item.path) in text else SpikeError(f"{item.path}: {text}") from None


def draw_all(
    items: Sequence[Item],
    draw: Draw,
    on_step: Callable[[int], None],
    workers: int | None = None,
    options: ReadOptions = AS_FOUND,
) -> Drawn:
    """Return the points of all readable items, in order, and a line on each unreadable one."""
    points = np.empty((len(items), draw.points, 6 if draw.normals else 3), dtype=np.float32)
    kept: list[Item] = []
    skipped: list[str] = []
    notes: list[str] = []
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    for chunk, answers in zip(chunks, _answers(chunks, draw, options, workers), strict=True):
        for item, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, str):
                skipped.append(answer)
            else:
                points[len(kept)] = answer.points
                notes += [f"{item.path}: {note}" for note in answer.notes]
                kept.append(item)
        on_step(len(chunk))
    return Drawn(points[: len(kept)], tuple(kept), tuple(skipped), tuple(notes))


def _answers(
    chunks: list[Sequence[Item]], draw: Draw, options: ReadOptions, workers: int | None
) -> Iterator[list[Sample | str]]:
    """Yield the answers of each chunk, in order, from so many processes.

    Unless their number is given, this process reads alone until the work that seems to be left is worth all cores.
    """
    number, seconds = 0, 0.0
    while number < len(chunks) and (workers == 1 or (workers is None and _few(seconds, number, len(chunks)))):
        begun = time.thread_time()
        answers = _draw_chunk(chunks[number], draw, options)
        seconds += time.thread_time() - begun
        yield answers
        number += 1
    if rest := chunks[number:]:
        with pool(workers or cores()) as executor:
            yield from executor.map(_draw_chunk, rest, [draw] * len(rest), [options] * len(rest))


def _few(seconds: float, done: int, chunks: int) -> bool:
    """Return whether the rest of `chunks`, of which `done` took `seconds`, is too little work for a pool."""
    return not done or cores() == 1 or seconds / done * (chunks - done) < _WORTH_A_POOL


def _draw_chunk(chunk: Sequence[Item], draw: Draw, options: ReadOptions) -> list[Sample | str]:
    answers: list[Sample | str] = []
    for item in chunk:
        try:
            answers.append(draw_sample(item, draw, options))
        except SpikeError as problem:
            answers.append(str(problem))
    return answers


def _read(item: Item, options: ReadOptions, normals: bool) -> Cloud | Mesh:
    if item.row is None:
        return read_cloud(item.path, options)
    return turned(Cloud(_rows(item.path, normals)[item.row]), options.up)


@lru_cache(maxsize=1)
def _rows(path: Path, normals: bool) -> np.ndarray:
    """Return the points (S, N, 3) of PointNet's HDF5 files, with the normals that they may hold beside (S, N, 6)."""
    with stored(path, "fetch it again") as file:
        found = file.array("data", "f", None, None, 3).astype(np.float32, copy=False)
        if not normals or "normal" not in file.names():
            return found
        return np.concatenate([found, file.array("normal", "f", *found.shape).astype(np.float32)], axis=-1)
