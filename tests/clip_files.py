"""A tiny trained `mini` and a few N-MNIST recordings, for tests of what looks at events through CLIP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from event_bytes import bin_bytes, some_events
from event_layouts import prepare_events
from safetensors.torch import save_file

from spikecli.neuroclip.clip import build, import_open_clip
from spikecli.neuroclip.clip_weights import Source


def random_mini(path: Path, seed: int = 0) -> Source:
    """Return a randomly initialized `mini` in a file."""
    torch.manual_seed(seed)
    module, _ = build(import_open_clip(), "mini")
    with torch.no_grad():
        for parameter in module.visual.parameters():  # zeros in open_clip's start hide what lies before them
            parameter += 0.05 * torch.randn_like(parameter)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)
    return Source("mini", path, str(path))


def write_recordings(folder: Path, train: int = 4, test: int = 2) -> Path:
    """Write N-MNIST's layout; the events of a digit lie in a band of its own, so that digits can be told apart."""
    for split, count in (("Train", train), ("Test", test)):
        for digit in range(10):
            for index in range(count):
                path = folder / split / str(digit) / f"{index:05d}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = some_events(200, 34, 6, seed=1000 * (split == "Test") + 10 * index + digit)
                path.write_bytes(bin_bytes([(x, y + int(2.8 * digit), t, p) for x, y, t, p in rows]))
    return folder


def prepare_recordings(data_dir: Path, train: int = 4, test: int = 2) -> Path:
    """Return `data_dir` with a small `nmnist` prepared in it."""
    prepare_events(data_dir, "nmnist", write_recordings(data_dir / "N-MNIST", train, test), workers=1)
    return data_dir


def one_recording(path: Path, polarity: int | None = None, count: int = 200) -> Path:
    """Write one recording of 34 x 34 pixels, of both polarities or of one."""
    rows = some_events(count, 34, 34, seed=5)
    path.write_bytes(bin_bytes([(x, y, t, p if polarity is None else polarity) for x, y, t, p in rows]))
    return path


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
