"""The rooms of the package, and whom each may know: the plan that tests and docs are held against."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
# Whom each room knows beside itself, from the ground up; `cli` and `__main__` may know all.
MAY_KNOW: dict[str, set[str]] = {
    "console": set(),
    "errors": set(),
    "progress": set(),
    "files": {"errors"},
    "machine": {"errors"},
    "settings": {"errors"},
    "datasets": {"errors", "files", "machine", "progress", "settings"},
    "neurons": {"errors", "settings"},
    "models": {"errors", "machine", "neurons", "settings"},
    "weights": {"errors", "files", "machine", "models", "neurons", "settings"},
    "evaluation": {"datasets", "errors", "models", "neurons", "weights"},
    "export": {"datasets", "errors", "files", "models", "neurons", "weights"},
    "live": {"datasets", "errors", "evaluation", "files", "weights"},
    "neuroclip": {
        "datasets", "errors", "evaluation", "files", "machine", "models", "progress", "settings", "weights",
    },
    "training": {
        "datasets", "errors", "evaluation", "files", "machine", "models", "neurons", "progress", "settings", "weights",
    },
    "library": {"datasets", "errors", "evaluation", "export", "files", "settings", "training", "weights"},
    "speed": {"errors", "evaluation", "export", "machine", "models", "settings", "training", "weights"},
    "view": {"datasets", "errors", "evaluation", "files", "neuroclip", "progress", "weights"},
}  # fmt: skip
MOST_ARROWS = 96  # from one room to another, those of `cli` and `__main__` included; before the redesign there were 97
