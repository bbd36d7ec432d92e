"""Small recordings that a network can learn in seconds, in N-MNIST's own layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from event_bytes import bin_bytes, write
from event_layouts import prepare_events

from spikecli.settings.config import TrainConfig
from spikecli.settings.recipes import train_settings

TRAIN, TEST = 12, 4  # recordings of a digit


def spots(folder: Path) -> Path:
    """Write recordings of 60 to 120 events each that gather about a place of the sensor, another for each digit."""
    for split, first, count in (("Train", 0, TRAIN), ("Test", TRAIN, TEST)):
        for digit in range(10):
            for index in range(first, first + count):
                write(folder / "N-MNIST" / split / str(digit) / f"{index:05d}.bin", bin_bytes(_events(digit, index)))
    return folder / "N-MNIST"


def _events(digit: int, index: int) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng([digit, index])
    count = int(rng.integers(60, 121))
    middle = np.array([6 + 7 * (digit % 4), 6 + 9 * (digit // 4)])
    places = np.clip(np.round(rng.normal(middle, 1.5, (count, 2))), 0, 33).astype(int)
    times = np.sort(rng.integers(0, 300_000, count))
    return [(int(x), int(y), int(t), int(rng.integers(2))) for (x, y), t in zip(places, times, strict=True)]


def prepared(folder: Path) -> Path:
    """Return a data folder in which these recordings stand prepared as nmnist."""
    prepare_events(folder / "data", "nmnist", spots(folder), workers=1)
    return folder / "data"


def settings(
    paper: str = "lif", parts: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **changes: Any
) -> TrainConfig:
    """Return the settings of a short run of a thin ResNet-20 on them, in frames of 12 × 12."""
    training = {
        "epochs": 2,
        "batch_size": 36,
        "size": 12,
        "augment": "none",
        "lr": 5e-3,
        **changes,
    }
    norm = "plain" if paper == "ann" else "tdbn"
    network = {"name": "resnet20", "width": 0.1, "batch_norm": norm, **(model or {})}
    return train_settings("nmnist", paper, "events", training, parts or {}, network)
