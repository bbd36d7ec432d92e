"""Ablation: papers × settings × seeds as ordinary runs, each scored at every T; finished runs are not repeated.

Several machines may work in one folder: each claims a run before it trains and scores it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spikecli.datasets.samples import load_samples
from spikecli.errors import SettingError, SpikeError, Stopped
from spikecli.evaluation import evaluate
from spikecli.evaluation.stopping import distinct_steps, runs_of
from spikecli.files.atomic import write_text
from spikecli.files.claims import claimed, holder_of
from spikecli.files.gate import file_hash
from spikecli.machine.device import choose_device
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import BY_DATA
from spikecli.training import train
from spikecli.training.interruption import Stop, stoppable
from spikecli.training.runs import LAST, STATE, differences
from spikecli.training.scoring import PRECISION, Layer, Right, Score, Scoring, score
from spikecli.training.settings import with_precision
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.run_folder import SCORES as RECORD
from spikecli.weights.trained import Trained

CLAIM = "claim.json"  # in a run folder, while a process trains or scores the run
POLL = 5.0  # seconds between two looks at runs that others have claimed
OnProgress = Callable[[float, str], None]  # epochs done of all runs, what is under way


@dataclass(frozen=True)
class Trial:
    """One run of the ablation: a paper and a seed."""

    config: TrainConfig
    folder: Path
    label: str = ""  # what a sweep has set in it: "lr=0.001 epochs=10"

    @property
    def row_name(self) -> str:
        """The paper, with what a sweep has set."""
        return ", ".join(filter(None, (self.config.paper, self.label)))

    @property
    def name(self) -> str:
        return f"{self.row_name}, seed {self.config.seed}"


@dataclass(frozen=True)
class Outcome:
    """A trial with its scores, its layers, and which samples it gets right."""

    trial: Trial
    scores: tuple[Score, ...]
    layers: tuple[Layer, ...]
    right: Right


def trial(config: TrainConfig, out: Path, label: str = "") -> Trial:
    """Return the trial of these settings, its folder PAPER-tT-seedS under `out`, with what a sweep has set."""
    swept = "".join(f"-{part.replace('=', '-')}" for part in label.split())
    return Trial(config, out / f"{config.paper}-t{config.timesteps}{swept}-seed{config.seed}", label)


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
    trials: Sequence[Trial],
    scoring: Scoring,
    data_dir: Path,
    device: str,
    on_progress: OnProgress,
    wait: bool = True,
) -> Iterator[Outcome]:
    """Yield each trial's outcome after training and scoring; raise Stopped on Ctrl-C, with nothing lost.

    All folders, and the split to score on, are examined before the first step is made. A trial that another process has
    claimed comes last; with `wait` False it is left out if the other has not ended by then.
    """
    place = choose_device(device)
    trials = [replace(one, config=with_precision(one.config, one.folder / STATE, place)) for one in trials]
    if scoring.split != "val":  # training opens the rest
        for config in {one.config.dataset: one.config for one in trials}.values():
            load_samples(data_dir, config.dataset, scoring.split, config)
    done = [float(epochs_done(one)) for one in trials]
    on_progress(sum(done), "")
    left = deque(enumerate(trials))
    elsewhere = 0  # claimed by others, one after another
    with stoppable() as stop:
        while left and (wait or elsewhere < len(left)):
            number, one = left.popleft()
            report = partial(_report, on_progress, sum(done) - done[number], one.name)
            with claimed(one.folder / CLAIM) as mine:
                outcome = _outcome(one, scoring, data_dir, device, stop, report) if mine else None
            if outcome is None:
                left.append((number, one))
                elsewhere += 1
                if wait and elsewhere >= len(left):
                    _wait_for(left[0][1], stop, report)
                    elsewhere = 0
                continue
            elsewhere = 0
            done[number] = float(one.config.epochs)
            yield outcome
            if stop.asked and left:
                raise _stopped(left[0][1], Stopped("stopped between two runs"))


def _outcome(
    one: Trial, scoring: Scoring, data_dir: Path, device: str, stop: Stop, report: Callable[[float, str], None]
) -> Outcome:
    """Train and score a trial that this process has claimed; raise Stopped on Ctrl-C."""
    try:
        if not _finished(one):
            _train(one, data_dir, device, report)
        return _score(one, scoring, data_dir, device, stop, partial(report, one.config.epochs))
    except Stopped as stopped:
        raise _stopped(one, stopped) from None


def _wait_for(one: Trial, stop: Stop, report: Callable[[float, str], None]) -> None:
    """Wait a while for the process that works on a trial; raise Stopped on Ctrl-C."""
    report(0.0, f"waiting for {holder_of(one.folder / CLAIM) or 'another process'}")
    for _ in range(int(POLL / 0.1)):
        if stop.asked:
            raise _stopped(one, Stopped("stopped while waiting"))
        time.sleep(0.1)


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
    asked = {"timesteps": steps, "split": scoring.split, "perturbations": runs, "precision": PRECISION}
    key = {**asked, "data": samples.fingerprint}
    if record.get("key") != key or "right" not in record:

        def on_samples(count: int) -> None:
            if stop.asked:
                raise Stopped("stopped while scoring")

        on_text("scoring")
        scores, layers, right = score(trained, samples, scoring, on_samples)
        scores = [replace(row, settings=one.label) for row in scores]
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
