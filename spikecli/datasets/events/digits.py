"""The built-in event recordings: scikit-learn's handwritten digits before a simulated event camera.

The digits are real, the camera is simulated. The files have N-MNIST's layout and format and are prepared alike.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from spikecli.datasets.events.camera import Camera, film
from spikecli.datasets.events.formats import write_bin
from spikecli.files.atomic import make_folder, scratch_folder, unwritable

# The halves of scikit-learn's 1,797 digits never meet: pictures of the first may train a CLIP,
# the second alone stands behind the recordings, both those to train on and those to test on.
CLIP_IMAGES = slice(0, 898)
RECORDED = slice(898, 1797)

_TRAIN_SHARE = 0.6
_AT_ONCE = 64  # recordings in memory


def recipe(seed: int) -> dict[str, Any]:
    """Return all settings that determine the recordings, for JSON."""
    camera: dict[str, Any] = json.loads(json.dumps(asdict(Camera())))
    return {"seed": seed, "train_share": _TRAIN_SHARE, "camera": camera}


def write_digits(folder: Path, seed: int, on_step: Callable[[int], None] = lambda steps: None) -> Path:
    """Write the recordings as Train|Test/<digit>/<index>.bin to `folder`, replacing its contents, and return it.

    <index> is the place in scikit-learn's digits. `on_step` gets the number of recordings just written.
    """
    try:
        with scratch_folder(folder.parent) as scratch:
            fresh = scratch / "raw"
            _write_all(fresh, seed, on_step)
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _write_all(folder: Path, seed: int, on_step: Callable[[int], None]) -> None:
    pictures, labels = digit_pictures(RECORDED)
    numbers = np.arange(RECORDED.start, RECORDED.stop)
    splits = _splits(labels, seed)
    for split in set(splits):
        for label in range(10):
            make_folder(folder / split / str(label))
    for start in range(0, len(labels), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        recordings = film(pictures[part], Camera(), seed, numbers[part])
        for number, label, split, events in zip(numbers[part], labels[part], splits[part], recordings, strict=True):
            write_bin(folder / split / str(label) / f"{number:05d}.bin", events)
        on_step(len(recordings))


def digit_pictures(part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (S, 8, 8) float32 in 0 … 1, white on black, and labels (S,) of a part of the digits."""
    table = _digits()
    return (table[part, :-1].reshape(-1, 8, 8) / 16).astype(np.float32), table[part, -1].astype(np.int64)


def _digits() -> np.ndarray:
    """Return scikit-learn's digits (1797, 65): 64 pixels of 0 … 16, row by row, and the label."""
    found = find_spec("sklearn")
    places = found.submodule_search_locations if found else None
    path = Path(next(iter(places or ()), ""), "datasets", "data", "digits.csv.gz")
    if path.is_file():  # importing scikit-learn takes two seconds
        with gzip.open(path, "rt") as file:
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.column_stack([data.data, data.target])


def _splits(labels: np.ndarray, seed: int) -> list[str]:
    """Return "Train" or "Test" of each label: 60 % of every class train, drawn from the seed."""
    generator = np.random.default_rng(seed)
    train = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        train[generator.permutation(members)[: round(_TRAIN_SHARE * len(members))]] = True
    return ["Train" if chosen else "Test" for chosen in train]
