"""Spiking PointNet side by side: the released code's structure, SpikingJelly, snnTorch, and this package.

    python benchmarks/bench_peers.py            # some minutes on two cores, 3 GB of memory
    python benchmarks/bench_peers.py --full     # a training step at T = 4 as well: 12 GB

All in one process, on the same clouds, taking turns round after round; medians. Peak memory of two training steps is
that of a process of its own, above what the imports took. The output is Markdown: the times, and the goals with what
was measured. Peers: `pip install -e .[peers]`.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import released_pointnet as released
import torch

from spikecli.machine.device import choose_device
from spikecli.models.work import necessary
from spikecli.speed.bench import (
    DTYPES,
    INFERENCE,
    TRAINING,
    BenchPlan,
    Workload,
    limited_to,
    random_clouds,
    train_once,
)
from spikecli.speed.clock import timed
from spikecli.speed.floor import Floor
from spikecli.speed.peak import peak_above_imports

RELEASED, RELEASED_ANN, JELLY, TORCH = "released structure", "released structure, ANN", "SpikingJelly", "snnTorch"
PEERS = {JELLY: "spikingjelly_pointnet", TORCH: "snntorch_pointnet"}
Column = tuple[str, int]  # work, T; the peak memory of training is a work as well
MEMORY = "MB"


@dataclass(frozen=True)
class Goal:
    """What one of this package's networks is to reach: another's value over its own, or its own over its floor's."""

    column: Column
    precision: str
    against: str
    wanted: float

    @property
    def text(self) -> str:
        work, timesteps = self.column
        what = "memory of training" if work == MEMORY else work
        bound = f"at most {self.wanted:g}× the" if self.against == "products" else f"{self.wanted:g}× better than"
        return f"{what}, T = {timesteps}, {self.precision}: {bound} {self.against}"

    def measured(self, table: Table, tnet: str) -> str:
        """Return the ratio, and whether that is enough."""
        own = table.value(own_name(tnet, self.precision), self.column)
        if self.against == "products":
            other = table.value(floor_name(tnet, self.precision), self.column)
            return f"{own / other:.2f}{'' if own / other <= self.wanted else ' ✗'}" if own and other else "–"
        other = table.value(self.against, self.column)
        return f"{other / own:.1f}{'' if other / own >= self.wanted else ' ✗'}" if own and other else "–"


GOALS = [
    Goal((TRAINING, 1), "fp32", RELEASED, 8),
    Goal((TRAINING, 1), "bf16", RELEASED, 16),
    Goal((INFERENCE, 4), "fp32", RELEASED, 5),
    Goal((INFERENCE, 4), "bf16", RELEASED, 12),
    Goal((MEMORY, 1), "fp32", RELEASED, 8),
    Goal((MEMORY, 1), "bf16", RELEASED, 8),
    Goal((TRAINING, 1), "fp32", RELEASED_ANN, 3),
    Goal((TRAINING, 1), "fp32", JELLY, 4),
    Goal((INFERENCE, 4), "fp32", JELLY, 4),
    *[Goal((TRAINING, 1), precision, "products", 1.5) for precision in ("fp32", "bf16")],
    *[Goal((INFERENCE, 4), precision, "products", 1.5) for precision in ("fp32", "bf16")],
]


@dataclass
class Table:
    """Medians in seconds and peaks in MB, by contender and column."""

    columns: list[Column]
    cells: dict[str, dict[Column, float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def value(self, name: str, column: Column) -> float | None:
        return self.cells.get(name, {}).get(column)

    def markdown(self) -> str:
        """Return the table, times in ms, in Markdown."""
        heads = [
            f"{work}, T = {timesteps}, {'' if work == MEMORY else 'ms'}".strip(", ") for work, timesteps in self.columns
        ]
        rows = [[name, *[self._cell(name, column) for column in self.columns]] for name in self.cells]
        rows += [[name, "`pip install -e .[peers]`", *[""] * (len(heads) - 1)] for name in self.missing]
        return markdown(["", *heads], rows)

    def _cell(self, name: str, column: Column) -> str:
        value = self.value(name, column)
        return "–" if value is None else f"{value:.0f}" if column[0] == MEMORY else f"{1e3 * value:.0f}"


class Bench:
    """The contenders on one batch."""

    def __init__(self, batch_size: int, points: int, repeats: int, tnets: Sequence[str], device: torch.device) -> None:
        self.device = device
        self.plans = {tnet: BenchPlan(batch_size, points, (1,), ("fp32",), repeats, tnet, device) for tnet in tnets}
        clouds, labels = random_clouds(batch_size, self.plans[tnets[0]].settings("SNN", 1, "fp32"))
        self.batch = torch.from_numpy(clouds).to(device), torch.from_numpy(labels).to(device)
        self.repeats = repeats
        self.builders = {RELEASED: released.spiking, RELEASED_ANN: released.ann}
        self.missing = []
        for name, module in PEERS.items():
            try:
                self.builders[name] = importlib.import_module(module).spiking
            except ModuleNotFoundError:
                self.missing.append(name)

    def own(self) -> Iterator[tuple[str, str]]:
        """Yield (T-Net order, precision) of this package's networks."""
        for tnet in self.plans:
            for precision in ("fp32", "bf16"):
                yield tnet, precision

    def acts(self, column: Column) -> dict[str, Callable[[], object]]:
        """Return what each contender does in a column, ready to run."""
        work, timesteps = column
        acts: dict[str, Callable[[], object]] = {}
        for name, build in self.builders.items():
            if name != RELEASED_ANN or timesteps == 1:
                peer = released.Load(build, timesteps, *self.batch)
                acts[name] = peer.train if work == TRAINING else peer.infer
        for tnet, precision in self.own():
            load = Workload(self.plans[tnet].settings("SNN", timesteps, precision), self.device)
            acts[own_name(tnet, precision)] = act = load.train if work == TRAINING else load.infer
            with necessary(load.model) as products:
                act()
            acts[floor_name(tnet, precision)] = Floor(products, DTYPES[precision], self.device).run
        return acts

    def medians(self, column: Column) -> dict[str, float]:
        """Return the median seconds of each contender, all taking turns; the first round warms up."""
        acts = self.acts(column)
        rounds = []
        for number in range(1 + self.repeats):
            rounds.append({name: timed(act, self.device) for name, act in acts.items()})
            note(f"{column[0]} T={column[1]}: round {number} of {self.repeats}")
        return {name: statistics.median(each[name] for each in rounds[1:]) for name in acts}

    def peaks(self, timesteps: int) -> dict[str, float]:
        """Return the peak memory in MB of each contender's training."""
        threads = torch.get_num_threads()
        found = {}
        for name, build in self.builders.items():
            if name != RELEASED_ANN or timesteps == 1:
                arguments = (build, timesteps, *self.batch, threads)
                found[name] = peak_above_imports(released.train_twice, *arguments, device=self.device)
                note(f"memory T={timesteps}: {name}")
        for tnet, precision in self.own():
            settings = self.plans[tnet].settings("SNN", timesteps, precision)
            found[own_name(tnet, precision)] = peak_above_imports(
                train_once, settings, self.device, threads, device=self.device
            )
            note(f"memory T={timesteps}: {own_name(tnet, precision)}")
        return found

    def run(self, columns: list[Column]) -> Table:
        """Return everything measured."""
        table = Table(columns, missing=self.missing)
        for column in columns:
            found = self.peaks(column[1]) if column[0] == MEMORY else self.medians(column)
            for name, value in found.items():
                table.cells.setdefault(name, {})[column] = value
        return table


def own_name(tnet: str, precision: str) -> str:
    return f"spikecli --tnet {tnet} {precision}"


def floor_name(tnet: str, precision: str) -> str:
    return f"products of {tnet} {precision}"


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tnet", default="paper,pooled,none", help="this package's networks: orders of the T-Nets")
    parser.add_argument("--full", action="store_true", help="a training step at T = 4 too")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto; memory is measured on a CPU alone")
    given = parser.parse_args()
    device = choose_device(given.device)
    tnets = given.tnet.split(",")
    steps = (1, 4) if given.full else (1,)
    memory = [(MEMORY, t) for t in steps] if device.type == "cpu" else []
    columns = [*memory, *[(TRAINING, t) for t in steps], (INFERENCE, 1), (INFERENCE, 4)]
    with limited_to(given.threads) as threads:
        table = Bench(given.batch_size, given.points, given.repeats, tnets, device).run(columns)
    goals = [[goal.text, *[goal.measured(table, tnet) for tnet in tnets]] for goal in GOALS]
    about = f"{given.batch_size} clouds of {given.points} points, {threads} threads, medians of {given.repeats} rounds"
    heads = ["goal", *[f"--tnet {tnet}" for tnet in tnets]]
    print(f"{about}\n\n{table.markdown()}\n\n{markdown(heads, goals)}")  # noqa: T201


if __name__ == "__main__":
    main()
