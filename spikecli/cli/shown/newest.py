"""Open the run that is named, or the newest, or the newest for some files; one that is found is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.weights.checkpoint import WeightsFile
    from spikecli.weights.trained import Trained


def opened(console: Console, checkpoint: Path | None, device: str) -> Trained:
    """Return the network of a run folder or weights file, or of the newest run for None."""
    from spikecli.weights.trained import Trained

    trained = Trained.open(checkpoint, device)
    if checkpoint is None:
        console.note(f"the newest run: {trained.path.parent}")
    return trained


def weights_and_sources(
    console: Console, given: list[Path], reference: str | None, newest: bool, data_dir: Path
) -> tuple[WeightsFile, list[str]]:
    """Return the weights, named first or by an option or found, and what is to be named.

    Raise SpikeError if there is nothing to name, or a usage error if weights are named twice.
    """
    from spikecli.weights import checkpoint
    from spikecli.weights.reference import is_checkpoint, is_name

    named = is_checkpoint(given[0])
    _refuse_two(given[0] if named else None, reference, newest)
    if named and len(given) == 1 and not given[0].exists() and not is_name(given[0]):
        raise SpikeError(_no_such(given[0], data_dir))
    sources = list(map(str, given[named:]))
    file = checkpoint.read(given[0]) if named else _found(console, sources, reference, newest, data_dir)
    if not sources:
        raise SpikeError(f"found {file.path} and no file to name; wanted spikecli predict {given[0]} chair.off")
    return file, sources


def _refuse_two(checkpoint: Path | None, reference: str | None, newest: bool) -> None:
    """Raise a usage error if more than one of a checkpoint, --reference and --newest is given."""
    if checkpoint is not None and (newest or reference):
        hint = "--newest" if newest else "--reference"
        raise typer.BadParameter(f"goes without a checkpoint, and {checkpoint} is one", param_hint=hint)
    if newest and reference:
        raise typer.BadParameter("goes without --reference, which names other weights", param_hint="--newest")


def _found(console: Console, sources: list[str], reference: str | None, newest: bool, data_dir: Path) -> WeightsFile:
    """Return the weights that an option names, or those of the newest run for such files, or the reference weights.

    A run that is found is said.
    """
    from spikecli.datasets.sets import kind_named
    from spikecli.evaluation.own_run import newest_run_for
    from spikecli.weights import checkpoint
    from spikecli.weights.reference import BY_SET

    if newest:
        file = checkpoint.read()
        console.note(f"the newest run: {file.path.parent}")
        return file
    found = None if reference else newest_run_for(sources, data_dir)
    if found is None:
        return checkpoint.read(Path(BY_SET[reference or "modelnet10"]))
    run, kind = found
    what = f"run of {kind_named(kind).unit_name}" if kind else "run"
    others = (
        ", or --reference modelnet10 for the weights that come with the program" if kind in ("points", None) else ""
    )
    console.note(f"the newest {what} answers: {run.parent}; to ask another, name it before the files{others}")
    return checkpoint.read(run)


def _no_such(given: Path, data_dir: Path) -> str:
    """Return the line for a name that is no file, no run and, by itself, no sample of a data set."""
    from difflib import get_close_matches

    from spikecli.datasets.sets import known_names
    from spikecli.weights.run_folder import nearest_run

    near = get_close_matches(str(given).casefold(), known_names(data_dir), 1)
    sample = f"did you mean {near[0]}:test:0? " if near else ""
    return (
        f"found no file, no run and no weights called {given}; {nearest_run(given) or sample}wanted a file such as "
        "chair.off, or a sample DATASET:SPLIT:INDEX such as shapes:test:0"
    )
