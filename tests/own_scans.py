"""Five classes of small scans in PLY, a folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from event_bytes import write


def scans(folder: Path, count: int = 5, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for label, name in enumerate(("bolt", "cup", "gear", "nut", "pipe")):
        for number in range(count):
            points = rng.normal(size=(40, 3)) * (1 + label, 1, 1)
            head = "ply\nformat ascii 1.0\nelement vertex 40\nproperty float x\nproperty float y\nproperty float z\n"
            lines = "\n".join(f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in points)
            write(folder / name / f"{name}_{number}.ply", f"{head}end_header\n{lines}\n".encode())
