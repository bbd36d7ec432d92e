"""The rooms of the package, and whom each may know: the plan that tests and docs are held against."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
GROUND = {"errors", "progress", "settings", "files", "machine"}
FLOWS = {"training", "evaluation", "weights", "neuroclip", "export", "live", "speed", "view"}
# Whom each room may know beside itself; `cli`, `__main__` and `doctor` may know all.
MAY_KNOW = {
    "errors": set(),
    "progress": set(),
    "settings": {"errors"},
    "files": {"errors", "progress"},
    "machine": {"errors", "files"},
    "neurons": {"settings", "errors"},
    "models": {"neurons", "settings", "errors", "files", "machine"},
    "datasets": GROUND,
    "weights": GROUND | {"neurons", "models", "datasets"},
    "evaluation": GROUND | {"neurons", "models", "datasets", "weights"},
    "training": GROUND | {"neurons", "models", "datasets", "weights", "evaluation"},
    "neuroclip": GROUND | {"neurons", "models", "datasets", "evaluation"},
    "speed": GROUND | {"neurons", "models", "datasets", "weights", "training", "evaluation", "export"},
    "live": GROUND | {"neurons", "models", "datasets", "weights", "evaluation", "neuroclip"},
    "export": GROUND | {"neurons", "models", "datasets", "weights", "evaluation", "neuroclip"},
    "view": GROUND | {"neurons", "models", "datasets", "weights", "evaluation", "neuroclip"},
    "plugins": {"settings", "errors"},
    "library": GROUND | {"datasets", "weights", "evaluation", "training", "export"},
    "console": {"errors"},
}
