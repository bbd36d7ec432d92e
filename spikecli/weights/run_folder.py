"""A run folder: the names of its files, and how it is found."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from spikecli.errors import SpikeError, named

CURVE, STATE, SETTINGS = "metrics.jsonl", "state.safetensors", "config.json"
RESULTS = "results.csv"  # the learning curve for a spreadsheet
SCORES = "ablation.json"  # of a run of `ablate`: the checksum of its weights, and their scores
LAST = "model.safetensors"  # the weights after the last epoch
BEST = "best.safetensors"  # the weights that scored best on the validation part
RUNS = Path("checkpoints")  # where runs are kept unless --out says otherwise


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a training run, finished or not."""
    return any((folder / name).is_file() for name in (CURVE, LAST, STATE))


def check_folder(folder: Path, resume: bool) -> None:
    """Raise SpikeError if a folder holds a run and none is to be resumed, or the other way round."""
    held = (folder / STATE).exists()
    again, out = named("resume"), named("out")
    if held and not resume:
        raise SpikeError(f"{folder} holds a run already; add {again} to go on with it, or name another {out}")
    if resume and not held:
        raise SpikeError(f"found no run to resume in {folder}; remove {again}, or name the run with {out}")


def nearest_run(given: Path) -> str:
    """Return "did you mean checkpoints/demo? " if a run has nearly the name of `given`, else an empty text."""
    places = [place for place in dict.fromkeys((given.parent, RUNS)) if place.is_dir()]
    known = {path.name.casefold(): path for place in places for path in sorted(place.iterdir()) if is_run(path)}
    near = get_close_matches(given.name.casefold(), known, 1)
    return f"did you mean {known[near[0]]}? " if near else ""
