"""Data sets with one folder for each split, under any of the usual names."""

from __future__ import annotations

from pathlib import Path

# What makers call the folder above the classes. Recordings held out for validation are of the training split here:
# a run holds out its own part of that.
_NAMES = {
    "train": "train", "training": "train", "validation": "train", "val": "train", "valid": "train",
    "test": "test", "testing": "test",
}  # fmt: skip
_HELD_OUT = ("validation", "val", "valid")


def split_of(path: Path) -> str | None:
    """Return the split of SPLIT/CLASS/FILE by the name of its folder, None if that names no split."""
    return _NAMES.get(path.parent.parent.name.lower())


def sample_name(path: Path) -> str:
    """Return CLASS/FILE without suffix; with validation before it, where numbers may start again."""
    folder = path.parent.parent.name.lower()
    name = f"{path.parent.name}/{path.stem}"
    return f"validation/{name}" if folder in _HELD_OUT else name
