"""The weights that come with the program, so that `predict` works before any training."""

from __future__ import annotations

from pathlib import Path

from spikecli.errors import SpikeError
from spikecli.files.shipped import PLACES
from spikecli.weights.run_folder import LAST

NAME = "reference"  # what stands for the path of the first of them on the command line
BY_SET = {"modelnet10": NAME, "modelnet40": f"{NAME}-modelnet40"}  # what stands for the path of each, by its classes

_PLACES = PLACES


def _folders(name: str) -> list[Path]:
    return [place / "checkpoints" / name for place in _PLACES]


def reference(name: str = NAME) -> Path:
    """Return the folder of the reference weights; raise SpikeError if they are not installed."""
    for folder in _folders(name):
        if (folder / LAST).is_file():
            return folder
    raise SpikeError(
        f"found no {name} weights with this installation; install spikecli from its repository, or name a checkpoint "
        "of `spikecli train`"
    )


def is_name(given: Path) -> bool:
    """Return whether a path stands for weights that come with the program, and for no file or folder here."""
    return str(given) in BY_SET.values() and not given.exists()


def run_folder(given: Path) -> Path:
    """Return the run folder for a folder, a file in it, or `reference`."""
    if is_name(given):
        given = reference(str(given))
    return given.parent if given.is_file() else given


def title_of(weights: Path) -> str:
    """Return the name of a weights file for titles: that of its run folder, or FOLDER/FILE.

    The weights that come with the program are "reference weights".
    """
    for name in BY_SET.values():
        if weights.parent in _folders(name):
            return f"{name} weights"
    whole = weights.absolute()
    if whole.name == LAST:
        return whole.parent.name
    if weights.parent == Path():  # the working directory's name says nothing of the weights
        return whole.stem
    return f"{whole.parent.name}/{whole.stem}"


def is_checkpoint(given: Path) -> bool:
    """Return whether an argument names a checkpoint, not a sample: a run folder, weights, or a bare name."""
    if given.is_dir() and str(given) not in BY_SET.values():
        return any(given.glob("*.safetensors")) or (given / "config.json").is_file()
    if str(given) == "-" or set(str(given)) & set("*?[:"):  # a list on stdin, a pattern, DATASET:SPLIT:INDEX
        return False
    return given.suffix in ("", ".safetensors")
