"""`spikecli train`: fit a network with one time step, or with any other number."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from spikecli.cli.options import common as options
from spikecli.cli.options import training as shared
from spikecli.cli.options.groups import with_groups, with_settings
from spikecli.cli.shown.phases import phases
from spikecli.console import Console
from spikecli.errors import ChoiceError, SettingError, SpikeError
from spikecli.settings.config import TrainConfig
from spikecli.settings.released import Fidelity

if TYPE_CHECKING:
    from spikecli.training.session import TrainCall
    from spikecli.training.train import Trainer


class TrainCommand(TyperCommand):
    """`train`, whose --resume is a flag or takes the word auto."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with `--resume auto` and `--resume` written as an option with a value."""
        words: list[str] = []
        for word in args:
            if word == "auto" and words and words[-1] == "--resume=yes":
                words[-1] = "--resume=auto"
            else:
                words.append("--resume=yes" if word == "--resume" else word)
        return super().parse_args(ctx, words)


@with_settings
@with_groups
def train(
    parts: dict[str, Any],
    training: dict[str, Any],
    network: dict[str, Any],
    following: shared.Following,
    output: options.Output,
    dataset: shared.DatasetOrShapes = None,
    model: shared.Model = None,
    paper: shared.Paper = None,
    recipe: shared.Recipe = None,
    timesteps: shared.Timesteps = None,
    val_fraction: shared.ValFraction = None,
    precision: shared.Precision = None,
    out: shared.Out = None,
    resume: shared.Resume = "no",
    accept_changed_data: shared.AcceptChanged = False,
    like: shared.Like = None,
    fidelity: shared.OfRelease = "default",
    start_from: shared.StartFrom = None,
    freeze: shared.Freeze = None,
    count: shared.Processes = 1,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: shared.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Train a network; weights, settings, learning curve and state are kept in a run folder.

    Example: spikecli train modelnet10 --epochs 30
    """
    training |= {"timesteps": timesteps, "val_fraction": val_fraction, "precision": precision, "seed": seed}
    training |= {"start_from": start_from, "freeze": freeze}
    given = Given(dataset, paper, recipe, training, parts, {"name": model, **network}, data_dir, fidelity)
    settings, folder, goes_on = resolved(given, parse_resume(resume), like, out)
    console = Console(output.as_json, output.quiet)
    how = _session(following, training["epochs"], count, console)
    chosen = {} if goes_on or like else given.chosen(settings)
    if not _in_processes(count, device):
        _train(settings, folder, goes_on, data_dir, device, console, accept_changed_data, how, chosen)


def _session(following: shared.Following, most: int | None, count: int, console: Console) -> TrainCall:
    """Return how this training is followed; its clock began with the program."""
    from spikecli.machine import clock
    from spikecli.training.budget import Budget, parse_time
    from spikecli.training.logs import parse_logs
    from spikecli.training.session import TrainCall

    logs = parse_logs(following.log)
    if following.time is None:
        return TrainCall(logs)
    if count > 1:
        raise SettingError("time", "is measured in one process; with --processes give --epochs")
    return TrainCall(logs, Budget(parse_time(following.time), clock.begun(), most), console.note)


@dataclass(frozen=True)
class Given:
    """The run's settings from the command line; None, or a None in a dictionary, if not given."""

    dataset: str | None
    paper: str | None
    recipe: str | None
    training: dict[str, Any]
    parts: dict[str, Any]
    network: dict[str, Any]
    data_dir: Path
    fidelity: Fidelity = "default"

    def settings(self, base: TrainConfig | None) -> TrainConfig:
        """Return the settings of `base`, or of a new run, with the given changes; raise SpikeError on a clash."""
        from spikecli.training.settings import check_released, settings_as, settings_of

        given = (self.paper, self.recipe, self.training, self.parts, self.network)
        if base is not None:
            return settings_as(base, self.dataset, *given, data_dir=self.data_dir)
        found = settings_of(self.dataset or "shapes", *given, data_dir=self.data_dir, fidelity=self.fidelity)
        if self.fidelity == "released":
            check_released(found, self.data_dir, self.training, self.parts, self.network)
        return found

    def chosen(self, settings: TrainConfig) -> dict[str, str]:
        """Return the recipe, augmentation, network and paper that `settings` of a new run took by themselves."""
        from spikecli.training.settings import unnamed

        given = (self.paper, self.recipe, self.training["augment"], self.network["name"])
        return unnamed(settings, *given, self.data_dir)


def resolved(given: Given, resume: str, like: Path | None, out: Path | None) -> tuple[TrainConfig, Path | None, bool]:
    """Return a run's settings, its folder (None: a new one) and whether it is resumed; raise SpikeError on a clash.

    A resumed run has its own settings; given ones must agree, or raise the number of epochs.
    """
    from spikecli.training.runs import default_folder, demand_run, demand_same, holds_run
    from spikecli.weights.run_record import read_run, settings_kept

    if like is not None and resume == "yes":
        raise SettingError("like", "begins a run and --resume goes on with one; remove one of them")
    if like is not None and given.fidelity != "default":
        raise SettingError("fidelity", "is for the settings of a new run, and --like has those of another; remove one")
    base = settings_kept(like) if like else None
    if resume == "no":
        return given.settings(base), out, False
    if out is None:
        fresh = given.settings(base)
        out = default_folder(Path("checkpoints"), fresh, resume=False, last=True)
        if resume == "auto" and not holds_run(out):
            return fresh, out, False
    if resume == "auto" and not holds_run(out):
        return given.settings(base), out, False
    before = read_run(demand_run(out)).config
    settings = given.settings(before)
    demand_same(out, before, settings)
    return settings, out, True


def parse_resume(text: str) -> str:
    """Return no, yes or auto; raise ChoiceError for anything else."""
    word = {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(text.casefold(), text.casefold())
    if word not in ("no", "yes", "auto"):
        raise ChoiceError("resume", f"cannot be {text!r}: give --resume alone, or --resume auto")
    return word


def _in_processes(count: int, device: str) -> bool:
    """Return whether the work was done by torchrun in `count` processes; False if this process must do it."""
    from spikecli.machine import processes

    if count == 1 or processes.started_by_torchrun():
        return False
    processes.refuse_crowd(count, device)
    if code := processes.launch(sys.argv[1:], count):
        raise SpikeError(f"training in {count} processes ended with code {code}; what is saved goes on with --resume")
    return True


def _train(
    settings: TrainConfig,
    out: Path | None,
    resume: bool,
    data_dir: Path,
    device: str,
    console: Console,
    accepts: bool,
    how: TrainCall,
    chosen: dict[str, str],
) -> None:
    from spikecli.training.session import session

    with ExitStack() as stack:
        with phases(console) as progress:
            loading = session(settings, data_dir, out, resume, device, how, progress, accepts)
            trainer = stack.enter_context(loading)
        _show(trainer, console, chosen)


def _few(trainer: Trainer) -> list[str]:
    """Return a line on classes of which nothing is held out, on classes with few samples, and on few held-out ones."""
    from spikecli.datasets.few import CURES, class_counts, few_held_out, few_to_train

    names = trainer.run.classnames
    learned, held = class_counts(trainer.batches.labels, names), class_counts(trainer.held_out.labels, names)
    whole = [name for name in names if learned[name] and not held[name] and any(held.values())]
    lines = [f"nothing is held out of {', '.join(whole)}: there is one sample of each"] if whole else []
    cures = [one for one in CURES if not getattr(trainer.config, one)]
    return [*lines, *few_to_train(learned, cures), *few_held_out(held)]


def _show(trainer: Trainer, console: Console, chosen: dict[str, str]) -> None:
    from spikecli.machine import processes

    if processes.rank() > 0:  # one process speaks for all
        for _ in trainer.epochs(lambda *_: None):
            pass
        return
    config = trainer.config
    shares = f"{len(trainer.batches.labels)} {trainer.unit_name} to train on, {len(trainer.held_out.labels)} held out"
    console.note(f"{config.dataset}: {shares}")
    if chosen:
        console.note("not named, so chosen: " + " ".join(f"--{name} {value}" for name, value in chosen.items()))
    for line in _few(trainer):
        console.warn(line)
    if not trainer.steps_left:
        console.note("every epoch is done; a larger --epochs would go on")
    with console.progress("training", total=trainer.steps_left, unit="steps") as advance:

        def on_step(step: int, steps: int, loss: float, accuracy: float, lr: float) -> None:
            advance(1, f"loss {loss:.3f} accuracy {accuracy:.1%} rate {lr:.0e}")

        for epoch in trainer.epochs(on_step):
            held_out = "" if epoch.val_accuracy is None else f"  held out {epoch.val_accuracy:.1%}"
            console.note(
                f"epoch {epoch.epoch:3d}/{config.epochs}  loss {epoch.loss:.4f}  accuracy {epoch.train_accuracy:.1%}"
                f"{held_out}  {epoch.seconds:.1f} s  {epoch.clouds_per_second:.0f} {trainer.unit_name}/s"
            )
    if trainer.steps_left:
        console.warn(f"the time is up: {len(trainer.run.progress.epochs)} of {config.epochs} epochs; --resume goes on")
    summary = trainer.summary()
    console.document({**summary, "chosen": chosen})
    epochs = summary["epochs"]
    console.say(f"{summary['out']}: {epochs} epoch{'s' * (epochs != 1)} in {summary['seconds']:.0f} s of training")
    console.say(f"next: spikecli eval {summary['out']} --timesteps 1,2,3,4")
