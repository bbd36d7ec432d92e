"""Time training and inference on this machine, beside the matrix products that they need at least."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikecli import models
from spikecli.machine.device import autocast
from spikecli.machine.precision import best
from spikecli.models.work import moved, multiply_adds, necessary
from spikecli.settings.config import TrainConfig
from spikecli.settings.papers import neuron_of
from spikecli.speed.clock import timed
from spikecli.speed.floor import Floor
from spikecli.speed.peak import peak_above_imports
from spikecli.speed.roofline import Rates, rates_of
from spikecli.training import schedule
from spikecli.training.batches import Batches
from spikecli.training.captured import runner
from spikecli.training.step import TrainStep

NETWORKS = {"SNN": "spiking-pointnet", "ANN": "ann"}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}
TRAINING, INFERENCE = "training", "inference"  # a step of each
BATCHES_IN_MEMORY = 8  # of the data path
WARM_UP = 2
OnDone = Callable[[str], None]


@dataclass(frozen=True)
class BenchPlan:
    """The cases to measure: each network at each T and in each precision, `repeats` times."""

    batch_size: int
    points: int
    timesteps: tuple[int, ...]
    precisions: tuple[str, ...]
    repeats: int
    tnet: str
    device: torch.device

    def settings(self, network: str, timesteps: int, precision: str) -> TrainConfig:
        """Return the training settings of one measured case; the augmentation keeps the number of points."""
        paper = NETWORKS[network]
        return TrainConfig.model_validate(
            {
                "paper": paper,
                "model": {"name": "pointnet", "neuron": neuron_of(paper), "tnet": self.tnet},
                "timesteps": timesteps,
                "batch_size": self.batch_size,
                "points": self.points,
                "precision": precision,
                "augment": "paper",
            }
        )

    def cases(self) -> Iterator[tuple[str, str, TrainConfig]]:
        """Yield (network, work, settings); the ANN has no time steps and is measured once."""
        for precision in self.precisions:
            for network in NETWORKS:
                for timesteps in self.timesteps if network == "SNN" else (1,):
                    for work in (TRAINING, INFERENCE):
                        yield network, work, self.settings(network, timesteps, precision)

    @property
    def rounds(self) -> int:
        """The number of times `measure` calls `on_done`."""
        cases = list(self.cases())
        return len(cases) * self.repeats + sum(work == TRAINING for _, work, _ in cases) + self.repeats


def worthwhile(device: torch.device) -> tuple[str, ...]:
    """Return the precisions that a device gains by: fp32, and bf16 where it is multiplied faster."""
    return tuple(dict.fromkeys(("fp32", best(device))))


@dataclass(frozen=True)
class BenchRow:
    """One case: medians in seconds, memory in MB (only of training).

    `floor_seconds` is the time of the products that it needs at least, and `roofline_seconds` the least that their
    multiply-adds and bytes take at the device's rates.
    """

    network: str
    work: str
    timesteps: int
    precision: str
    seconds: float
    floor_seconds: float
    ratio: float
    multiply_adds: int
    bytes: int
    roofline_seconds: float
    peak_memory_mb: float | None


@dataclass(frozen=True)
class DataPath:
    """Time of a training step with a fetched and augmented batch, against one whose batch is on the device."""

    precision: str
    batch_seconds: float
    real_seconds: float
    reused_seconds: float
    ratio: float


class Workload:
    """A network, its optimizer and a batch of random clouds in the unit sphere."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device
        self.model = models.build(config.model).to(device, DTYPES["fp64" if config.precision == "fp64" else "fp32"])
        self.optimizer = schedule.optimizer(config, self.model)
        self.step = TrainStep(config, self.model, self.optimizer, device)
        points, labels = random_clouds(config.batch_size, config)
        self.batches = Batches(points, labels, config, device)
        self.points, self.labels = self.batches.to_device(points), torch.from_numpy(labels).to(device)
        self._run = runner(lambda shape: self.step(self.points, self.labels), self.step)

    def train(self, points: Tensor | None = None, labels: Tensor | None = None) -> None:
        """Run one training step, on the given batch or the one on the device; on a GPU from a CUDA graph."""
        if points is not None and labels is not None:
            self.points.copy_(points)
            self.labels.copy_(labels)
        self.model.train()
        self._run("batch", self.config.seed)

    def infer(self) -> None:
        """Run inference on the batch."""
        self.model.eval()
        with torch.inference_mode(), autocast(self.device, self.config.precision):
            self.model(self.points, self.config.timesteps)


def random_clouds(count: int, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 clouds (count, N, 3) in the unit sphere and labels (count,)."""
    rng = np.random.default_rng(config.seed)
    points = rng.normal(size=(count, config.points, 3)).astype(np.float32)
    points /= np.linalg.norm(points, axis=-1).max(axis=1)[:, None, None]
    return points, rng.integers(config.model.classes, size=count)


def measure(plan: BenchPlan, on_done: OnDone = lambda what: None) -> tuple[list[BenchRow], DataPath]:
    """Return a row for each case of the plan, and the cost of the data path; `on_done` is called after each round."""
    rates = {precision: rates_of(DTYPES[precision], plan.device) for precision in plan.precisions}
    rows = [_row(plan, *case, rates[case[2].precision], on_done) for case in plan.cases()]
    return rows, data_path(plan, on_done)


def _row(plan: BenchPlan, network: str, work: str, config: TrainConfig, rates: Rates, on_done: OnDone) -> BenchRow:
    name = f"{network} {work}, T = {config.timesteps}, {config.precision}"
    memory = None
    if work == TRAINING:
        memory = _memory(config, plan.device)
        on_done(name)
    load = Workload(config, plan.device)
    act = load.train if work == TRAINING else load.infer
    with necessary(load.model) as products, torch.set_grad_enabled(work == TRAINING):
        load.model.train(work == TRAINING)
        with autocast(plan.device, config.precision):
            load.model(load.points, config.timesteps)
    act()
    floor = Floor(products, DTYPES[config.precision], plan.device)
    for _ in range(WARM_UP - 1):
        act()
        floor.run()
    times = []
    for _ in range(plan.repeats):  # the two take turns: what disturbs the machine disturbs both
        times.append((timed(act, plan.device), timed(floor.run, plan.device)))
        on_done(name)
    own, alone = (statistics.median(column) for column in zip(*times, strict=True))
    needed = multiply_adds(products), moved(products, DTYPES[config.precision].itemsize)
    case = network, work, config.timesteps, config.precision
    return BenchRow(*case, own, alone, own / alone, *needed, rates.least(*needed), memory)


def _memory(config: TrainConfig, device: torch.device) -> float:
    """Return the peak memory of training in MB: torch's own figure on a GPU, else that of a process of its own."""
    if device.type != "cuda":
        return peak_above_imports(train_once, config, device, torch.get_num_threads(), device=device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    train_once(config, device, torch.get_num_threads())
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6


def data_path(plan: BenchPlan, on_done: OnDone = lambda what: None) -> DataPath:
    """Return the time that fetching and augmenting batches adds to the SNN's training step, at the smallest T."""
    config = plan.settings("SNN", min(plan.timesteps), plan.precisions[-1])
    load = Workload(config, plan.device)
    batches = Batches(*random_clouds(BATCHES_IN_MEMORY * config.batch_size, config), config, plan.device)
    order = batches.order(0)
    times = []
    for step in range(WARM_UP + plan.repeats):
        indices = order[step % len(order)]
        fetch = timed(lambda: batches.batch(indices, 0, step), plan.device)  # noqa: B023
        real = timed(lambda: load.train(*batches.batch(indices, 0, step)), plan.device)  # noqa: B023
        times.append((fetch, real, timed(load.train, plan.device)))
        if step >= WARM_UP:
            on_done("data path")
    fetch, real, reused = (statistics.median(column) for column in zip(*times[WARM_UP:], strict=True))
    return DataPath(config.precision, fetch, real, reused, real / reused)


def train_once(config: TrainConfig, device: torch.device, threads: int) -> None:
    """Build a network and train it for two steps: the second has the optimizer's state beside everything else."""
    torch.set_num_threads(threads)
    load = Workload(config, device)
    load.train()
    load.train()


@contextmanager
def limited_to(threads: int | None) -> Iterator[int]:
    """Yield the number of threads that products use inside the block: `threads`, or as many as torch chose."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield threads or before
    finally:
        torch.set_num_threads(before)
