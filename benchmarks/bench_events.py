"""Decoding and binning a folder of N-MNIST recordings: this package against tonic's reader and ToFrame.

    python benchmarks/bench_events.py N-MNIST-500.tar.xz

Both do the same work, five-byte events to counts of ten slices of equal number, and must agree; the two take turns
within one process, after one round to warm up, and the median of the rounds is printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tonic.datasets import NMNIST
from tonic.io import read_mnist_file
from tonic.transforms import ToFrame

from spikecli.datasets.events.frames import EqualCount, to_frames
from spikecli.datasets.events.recording import read_events
from spikecli.files.archive import open_source

TIMESTEPS = 10
ROUNDS = 7


def ours(paths: list[Path]) -> list[np.ndarray]:
    """Return the frames by way of `read_events` and `to_frames`, every check included."""
    slicing = EqualCount(TIMESTEPS)
    return [to_frames(read_events(path, (34, 34)), slicing) for path in paths]


def tonics(paths: list[Path]) -> list[np.ndarray]:
    """Return the frames by way of tonic's N-MNIST reader and its ToFrame."""
    transform = ToFrame(NMNIST.sensor_size, n_event_bins=TIMESTEPS)
    return [transform(read_mnist_file(str(path), dtype=NMNIST.dtype)) for path in paths]


def seconds(work: Callable[[list[Path]], list[np.ndarray]], paths: list[Path]) -> float:
    """Return how long one round of `work` takes."""
    start = time.perf_counter()
    work(paths)
    return time.perf_counter() - start


def main(source: Path) -> None:
    """Print the median seconds of both, and their ratio."""
    with tempfile.TemporaryDirectory() as scratch, open_source(source, Path(scratch)) as folder:
        paths = sorted(folder.rglob("*.bin"))
        for mine, other in zip(ours(paths), tonics(paths), strict=True):
            # tonic leaves out the events that do not fill ten equal slices; ours are in the last slice.
            assert np.array_equal(mine[:-1], other[:-1])
            assert (mine[-1] >= other[-1]).all()
        rounds = [(seconds(ours, paths), seconds(tonics, paths)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(b / a for a, b in rounds)
    print(f"{len(paths)} recordings: spikecli {mine:.3f} s, tonic {other:.3f} s, {ratio:.1f} times faster")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
