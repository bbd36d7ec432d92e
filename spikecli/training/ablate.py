"""Ablation: papers × seeds as ordinary runs, each scored at every T; finished runs are not repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spikecli.errors import SettingError, SpikeError, Stopped
from spikecli.evaluation import evaluate
from spikecli.evaluation.stopping import distinct_steps, runs_of
from spikecli.files.atomic import write_text
from spikecli.files.gate import file_hash
from spikecli.machine.device import choose_device
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import BY_DATA
from spikecli.training import train
from spikecli.training.interruption import Stop, stoppable
from spikecli.training.runs import LAST, STATE, differences
from spikecli.training.scoring import Layer, Right, Score, Scoring, score
from spikecli.training.settings import with_precision
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.trained import Trained

RECORD = "ablation.json"  # beside a finished run: the checksum of its weights, and their scores
OnProgress = Callable[[float, str], None]  # epochs done of all runs, what is under way


@dataclass(frozen=True)
class Trial:
    """One run of the ablation: a paper and a seed."""

    config: TrainConfig
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.config.paper}, seed {self.config.seed}"


@dataclass(frozen=True)
class Outcome:
    """A trial with its scores, its layers, and which samples it gets right."""

    trial: Trial
    scores: tuple[Score, ...]
    layers: tuple[Layer, ...]
    right: Right


def trial(config: TrainConfig, out: Path) -> Trial:
    """Return the trial of these settings, its folder PAPER-tT-seedS under `out`."""
    return Trial(config, out / f"{config.paper}-t{config.timesteps}-seed{config.seed}")


def epochs_done(one: Trial) -> int:
    """Return the number of epochs trained of a trial; raise SpikeError if its folder holds a run of other settings."""
    path = one.folder / STATE
    if not path.exists():
        return 0
    state = checkpoints.load(path)
    found = state.config.model.model_dump(include=set(BY_DATA))
    wanted = one.config.model_copy(update={"model": one.config.model.model_copy(update=found)})
    changed = differences(state.config, wanted)
    if state.config.epochs != wanted.epochs:  # a run may be prolonged, a comparison may not
        changed.append(("epochs", state.config.epochs, wanted.epochs))
    if changed:
        name, before, now = changed[0]
        raise SettingError(
            name,
            f"cannot be {now}: the run in {one.folder} was trained with {before}; remove it, or name another folder",
        )
    return len(state.notes["progress"]["epochs"])


def ablate(
    trials: Sequence[Trial], scoring: Scoring, data_dir: Path, device: str, on_progress: OnProgress
) -> Iterator[Outcome]:
    """Yield each trial's outcome after training and scoring; raise Stopped on Ctrl-C, with nothing lost.

    All folders are examined before the first step is made.
    """
    place = choose_device(device)
    trials = [replace(one, config=with_precision(one.config, one.folder / STATE, place)) for one in trials]
    done = [float(epochs_done(one)) for one in trials]
    on_progress(sum(done), "")
    with stoppable() as stop:
        for number, one in enumerate(trials):
            report = partial(_report, on_progress, sum(done) - done[number], one.name)
            try:
                if not _finished(one):
                    _train(one, data_dir, device, report)
                done[number] = float(one.config.epochs)
                outcome = _score(one, scoring, data_dir, device, stop, partial(report, one.config.epochs))
            except Stopped as stopped:
                raise _stopped(one, stopped) from None
            yield outcome
            if stop.asked and number + 1 < len(trials):
                raise _stopped(trials[number + 1], Stopped("stopped between two runs"))


def _report(on_progress: OnProgress, before: float, name: str, epochs: float, text: str) -> None:
    on_progress(before + epochs, f"{name}: {text}")


def _stopped(one: Trial, why: Stopped) -> Stopped:
    where = str(why).split(";")[0]
    return Stopped(
        f"{where} ({one.name}); what is done is kept in {one.folder.parent}: give the same command again to go on"
    )


def _finished(one: Trial) -> bool:
    """Return whether the weights in a trial's folder are the final ones that its record names."""
    weights = one.folder / LAST
    return weights.exists() and _record(one).get("weights") == file_hash(weights)


def _train(one: Trial, data_dir: Path, device: str, on_epochs: Callable[[float, str], None]) -> None:
    """Start or resume a run; estimate the batch statistics again if only they are missing."""
    resume = (one.folder / STATE).exists()
    with train.opened(one.config, data_dir, one.folder, resume, device) as trainer:

        def on_step(step: int, steps: int, loss: float, accuracy: float, lr: float) -> None:
            on_epochs(trainer.run.progress.step / steps, f"loss {loss:.3f} accuracy {accuracy:.1%}")

        for _ in trainer.epochs(on_step):
            pass
    _write_record(one, {"weights": file_hash(one.folder / LAST)})


def _score(
    one: Trial, scoring: Scoring, data_dir: Path, device: str, stop: Stop, on_text: Callable[[str], None]
) -> Outcome:
    """Return a trained trial's outcome; use its record if weights, data and settings are the same."""
    record = _record(one)
    trained = Trained.open(one.folder / LAST, device)
    model, samples = trained.network, evaluate.samples_for(trained, data_dir, None, scoring.split)
    steps, runs = list(distinct_steps(model, scoring.timesteps)), runs_of(model, scoring.perturbations)
    key = {"timesteps": steps, "split": scoring.split, "perturbations": runs, "data": samples.fingerprint}
    if record.get("key") != key or "right" not in record:

        def on_samples(count: int) -> None:
            if stop.asked:
                raise Stopped("stopped while scoring")

        on_text("scoring")
        scores, layers, right = score(trained, samples, scoring, on_samples)
        rows = {"scores": [asdict(row) for row in scores], "layers": [asdict(layer) for layer in layers]}
        record = {"weights": record["weights"], "key": key, **rows, "right": right}
        _write_record(one, record)
    scored = tuple(Score(**row) for row in record["scores"])
    return Outcome(one, scored, tuple(Layer(**layer) for layer in record["layers"]), record["right"])


def _record(one: Trial) -> dict[str, Any]:
    path = one.folder / RECORD
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SpikeError(f"cannot read {path} ({error}); remove it, and the run is scored again") from None


def _write_record(one: Trial, record: dict[str, Any]) -> None:
    write_text(one.folder / RECORD, json.dumps(record, indent=2) + "\n")
