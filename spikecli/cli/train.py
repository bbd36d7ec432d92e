"""`spikecli train`: fit a network with one time step, or with any other number."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.cli.options import common as options
from spikecli.cli.options import training as shared
from spikecli.cli.options.groups import with_settings
from spikecli.cli.shown.phases import phases
from spikecli.console import Console
from spikecli.errors import SpikeError
from spikecli.settings.config import TrainConfig

if TYPE_CHECKING:
    from spikecli.training.train import Trainer


@with_settings
def train(
    parts: dict[str, Any],
    training: dict[str, Any],
    network: dict[str, Any],
    dataset: shared.Dataset = "shapes",
    model: shared.Model = None,
    paper: shared.Paper = None,
    recipe: shared.Recipe = None,
    timesteps: shared.Timesteps = 1,
    val_fraction: shared.ValFraction = 0.1,
    precision: shared.Precision = "fp32",
    out: shared.Out = None,
    resume: shared.Resume = False,
    count: shared.Processes = 1,
    data_dir: options.DataDir = options.DATA_DIR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Train a network; weights, settings, learning curve and state are kept in a run folder.

    Example: spikecli train modelnet10 --precision bf16 --epochs 30
    """
    from spikecli.training.settings import settings_of

    training |= {"timesteps": timesteps, "val_fraction": val_fraction, "precision": precision, "seed": seed}
    settings = settings_of(dataset, paper, recipe, training, parts, {"name": model, **network})
    if not _in_processes(count):
        _train(settings, out, resume, data_dir, device, Console(as_json, quiet))


def _in_processes(count: int) -> bool:
    """Return whether torchrun has done the work, in `count` processes; False when it is this process's own."""
    from spikecli.machine import processes

    if count == 1 or processes.started_by_torchrun():
        return False
    if code := processes.launch(sys.argv[1:], count):
        raise SpikeError(f"training in {count} processes ended with code {code}; what is saved goes on with --resume")
    return True


def _train(
    settings: TrainConfig, out: Path | None, resume: bool, data_dir: Path, device: str, console: Console
) -> None:
    from spikecli.progress import Watch
    from spikecli.training.train import opened

    with phases(console) as shown:
        loading = opened(settings, data_dir, out, resume, device, watch=Watch(shown.start, shown.step))
        with loading as trainer:
            shown.close()
            _show(trainer, console)


def _show(trainer: Trainer, console: Console) -> None:
    from spikecli.machine import processes

    if processes.rank() > 0:  # one process speaks for all
        for _ in trainer.epochs(lambda *_: None):
            pass
        return
    config = trainer.config
    shares = f"{len(trainer.batches.labels)} {trainer.unit_name} to train on, {len(trainer.held_out.labels)} held out"
    console.note(f"{config.dataset}: {shares}")
    if not trainer.steps_left:
        console.note(f"all {config.epochs} epochs are done; a larger --epochs would go on")
    with console.progress("training", total=trainer.steps_left, unit="steps") as advance:

        def on_step(step: int, steps: int, loss: float, accuracy: float, lr: float) -> None:
            advance(1, f"loss {loss:.3f} accuracy {accuracy:.1%} rate {lr:.0e}")

        for epoch in trainer.epochs(on_step):
            held_out = "" if epoch.val_accuracy is None else f"  held out {epoch.val_accuracy:.1%}"
            console.note(
                f"epoch {epoch.epoch:3d}/{config.epochs}  loss {epoch.loss:.4f}  accuracy {epoch.train_accuracy:.1%}"
                f"{held_out}  {epoch.seconds:.1f} s  {epoch.clouds_per_second:.0f} {trainer.unit_name}/s"
            )
    summary = trainer.summary()
    console.document(summary)
    console.say(f"{summary['out']}: {summary['epochs']} epochs in {summary['seconds']:.0f} s of training")
    console.say(f"next: spikecli eval {summary['out']} --timesteps 1,2,3,4")
