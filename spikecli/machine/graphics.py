"""The graphics cards that a driver knows, asked of the driver: torch may be built without them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_QUESTION = ("--query-gpu=name,driver_version", "--format=csv,noheader")


def nvidia_cards(patience: float = 3.0) -> tuple[str, ...]:
    """Return a line on each NVIDIA card, its name and driver; empty if there is no card or no driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return _of_kernel(Path("/proc/driver/nvidia"))
    try:
        done = subprocess.run([command, *_QUESTION], capture_output=True, text=True, timeout=patience, check=True)
    except (OSError, subprocess.SubprocessError):
        return _of_kernel(Path("/proc/driver/nvidia"))
    return tuple(parsed(done.stdout))


def parsed(answer: str) -> list[str]:
    """Return "name, driver version" of each line "name, version"."""
    pairs = [line.rpartition(",") for line in answer.splitlines() if "," in line]
    return [f"{name.strip()}, driver {version.strip()}" for name, _, version in pairs]


def _of_kernel(folder: Path) -> tuple[str, ...]:
    """Return the cards that the driver in the kernel lists, where nvidia-smi is missing or silent."""
    try:
        words = (folder / "version").read_text().split()
        version = next((word for word in words if word[:1].isdigit() and "." in word), "unknown")
        cards = sorted((folder / "gpus").glob("*/information"))
        names = [path.read_text().partition("Model:")[2].splitlines()[0].strip() for path in cards]
    except (OSError, IndexError):
        return ()
    return tuple(f"{name}, driver {version}" for name in names)
