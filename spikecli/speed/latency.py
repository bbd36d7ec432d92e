"""Latency, memory and energy of one trained network, in torch and in onnxruntime, beside its accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import samples_for
from spikecli.evaluation.how import How
from spikecli.evaluation.step_scores import evaluate_steps
from spikecli.evaluation.stopping import StopRule, spikes, sure_probabilities
from spikecli.export import formats, subject
from spikecli.export.graphs import graph_of
from spikecli.export.onnx_format import is_installed, session, traced_model
from spikecli.export.probes import inputs_of
from spikecli.models.inputs import to_network
from spikecli.models.running import step_logits
from spikecli.models.work import necessary
from spikecli.speed.floor import Floor
from spikecli.speed.peak import peak_above_imports
from spikecli.weights.trained import Trained

WARM_UP = 3
OnDone = Callable[[str], None]


@dataclass(frozen=True)
class LatencyPlan:
    """What is measured: time steps, early stopping if `stop` is given, batches, runs of each, and samples.

    `scored`: without a prepared test split, which gives accuracies, nothing is measured.
    """

    timesteps: tuple[int, ...] = (1, 2, 4)
    stop: StopRule | None = None
    batches: tuple[int, ...] = (1, 32)
    repeats: int = 20
    samples: int = 256
    memory: bool = True
    scored: bool = False
    seed: int = 0
    data_dir: Path = Path("data")

    def runs_of(self, batch: int) -> int:
        """Return how often a batch is run: a quarter as often, at least 5 times, where it holds several samples."""
        return self.repeats if batch == 1 else max(5, self.repeats // 4)


@dataclass(frozen=True)
class LatencyRow:
    """One engine at one number of steps and batch: milliseconds a sample, and what holds for that number of steps.

    `mean_timesteps` differs from `timesteps` with auto. `processor_ms` is the median of the processor's time, which
    other work on the machine lengthens less than the time on the clock. Accuracy is None where no test split is
    prepared; memory, in MB beyond the imports, is measured for torch and the largest batch. The engine `floor` is the
    matrix products alone that the network needs at least.
    """

    engine: str
    timesteps: str
    mean_timesteps: float
    batch: int
    p50_ms: float
    p95_ms: float
    processor_ms: float
    peak_memory_mb: float | None
    file_bytes: int
    energy_uj: float | None
    instance_accuracy: float | None


@dataclass(frozen=True)
class StepCost:
    """Accuracy in 0…1 and energy of a sample in µJ at one number of steps."""

    accuracy: float | None
    energy_uj: float | None
    mean_timesteps: float


def measure(trained: Trained, asked: LatencyPlan, on_done: OnDone = lambda what: None) -> tuple[str, list[LatencyRow]]:
    """Return where the samples are from, and the rows; `on_done` is called after each.

    Raise SpikeError if the network cannot be run on samples of its kind.
    """
    what = subject.of(trained)
    steps = asked.timesteps if spikes(trained.network) else (1,)
    stop = asked.stop if spikes(trained.network) else None
    source, scores = _scores(trained, steps, stop, asked)
    on_done("accuracy")
    rows = list(_torch_rows(trained, what, steps, stop, scores, asked, on_done))
    if trained.device.type == "cpu":
        rows += _onnx_rows(what, steps, scores, asked, on_done)
    return source, rows


def _scores(
    trained: Trained, steps: Sequence[int], stop: StopRule | None, asked: LatencyPlan
) -> tuple[str, dict[str, StepCost]]:
    """Return scores by number of steps, on the test split if it is prepared, else none.

    Raise SpikeError if it is not prepared and scores are wanted.
    """
    try:
        samples = samples_for(trained, asked.data_dir, most=asked.samples)
    except SpikeError as missing:
        if asked.scored:
            raise SpikeError(f"a figure needs accuracies on a test split: {missing}") from missing
        return f"made samples, seed {asked.seed}: no test split is prepared", {}
    found = evaluate_steps(trained.network, samples, steps, stop, False, How(seed=asked.seed, device=trained.device))
    scores = {
        str(row.timesteps): StepCost(row.instance_accuracy, row.energy_uj, float(row.timesteps)) for row in found.rows
    }
    if found.auto is not None:
        auto = found.auto
        scores["auto"] = StepCost(auto.instance_accuracy, auto.energy_uj, auto.mean_timesteps)
    return f"{len(samples.labels)} samples of the test split of {samples.dataset}", scores


def _torch_rows(
    trained: Trained,
    what: subject.Subject,
    steps: Sequence[int],
    stop: StopRule | None,
    scores: dict[str, StepCost],
    asked: LatencyPlan,
    on_done: OnDone,
) -> Iterator[LatencyRow]:
    size = trained.path.stat().st_size
    for batch in asked.batches:
        for t in steps:
            inputs = _batch(what, t, batch, asked)
            answer = partial(step_logits, trained.network, inputs, t, trained.device, "fp32", 0)
            times = _times(answer, asked.runs_of(batch))
            memory = None
            if asked.memory and batch == max(asked.batches):
                memory = peak_above_imports(_run_once, trained.path, inputs, t, device=trained.device)
            yield _row("torch", str(t), batch, times, memory, size, scores)
            on_done(f"torch, T = {t}, batch {batch}")
            if batch == min(asked.batches) and trained.device.type == "cpu":
                floor = _products(trained, inputs, t)
                yield _row("floor", str(t), batch, _times(floor.run, asked.runs_of(batch)), None, 0, {})
        if stop is not None:
            inputs = _batch(what, stop.most, batch, asked)
            times = _times(partial(sure_probabilities, trained, inputs, stop), asked.runs_of(batch))
            yield _row("torch", "auto", batch, times, None, size, scores)
            on_done(f"torch, auto, batch {batch}")


def _products(trained: Trained, inputs: np.ndarray, timesteps: int) -> Floor:
    with torch.inference_mode(), necessary(trained.network) as products:
        trained.network(to_network(inputs, trained.device, torch.float32), timesteps)
    return Floor(products, torch.float32, trained.device)


def _run_once(path: Path, inputs: np.ndarray, timesteps: int) -> None:
    """Open a network and answer one batch: what a process of its own takes."""
    torch.set_num_threads(1)
    trained = Trained.open(path, "cpu")
    step_logits(trained.network, inputs, timesteps, trained.device, "fp32", 0)


def _onnx_rows(
    what: subject.Subject, steps: Sequence[int], scores: dict[str, StepCost], asked: LatencyPlan, on_done: OnDone
) -> Iterator[LatencyRow]:
    """Yield a row a number of steps and batch; none where the extra is not installed or the network cannot be said."""
    if not is_installed():
        return
    for t in steps:
        wanted = formats.Wanted(t, raw=True, seed=asked.seed, data_dir=asked.data_dir)
        if formats.named("onnx").refusals(what, wanted):
            return
        graph = graph_of(what, wanted)
        content = traced_model(graph).SerializeToString()
        running = session(content, graph, torch.get_num_threads())
        for batch in asked.batches:
            given = [torch.from_numpy(np.ascontiguousarray(_batch(what, t, batch, asked))).float()]
            times = _times(partial(running.run, given), asked.runs_of(batch))
            yield _row("onnxruntime", str(t), batch, times, None, len(content), scores)
            on_done(f"onnxruntime, T = {t}, batch {batch}")


def _batch(what: subject.Subject, timesteps: int, batch: int, asked: LatencyPlan) -> np.ndarray:
    wanted = formats.Wanted(timesteps, samples=batch, seed=asked.seed, data_dir=asked.data_dir)
    inputs = inputs_of(what, wanted)[1]
    return np.resize(inputs, (batch, *inputs.shape[1:]))


def _times(work: Callable[[], object], repeats: int) -> np.ndarray:
    """Return the seconds of each of `repeats` runs after a warm-up, by the clock and of the processor (2, n)."""
    for _ in range(WARM_UP):
        work()
    taken = []
    for _ in range(repeats):
        begun, busy = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - begun, time.process_time() - busy))
    return np.array(taken).T


def _row(
    engine: str,
    timesteps: str,
    batch: int,
    times: np.ndarray,
    memory: float | None,
    size: int,
    scores: dict[str, StepCost],
) -> LatencyRow:
    score = scores.get(timesteps, StepCost(None, None, float("nan") if timesteps == "auto" else float(timesteps)))
    middle, slow = (np.percentile(times[0], [50, 95]) * 1e3 / batch).tolist()
    busy = float(np.median(times[1])) * 1e3 / batch
    known = (memory, size, score.energy_uj, score.accuracy)
    return LatencyRow(engine, timesteps, score.mean_timesteps, batch, middle, slow, busy, *known)
