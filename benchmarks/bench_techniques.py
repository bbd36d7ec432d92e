"""A training step of each paper's method against one of a plain LIF network, on the built-in shapes.

    python benchmarks/bench_techniques.py --data-dir data

The networks take turns, step by step, so that whatever else the machine does disturbs all of them alike. The output is
Markdown: medians of processor time in ms, and of the ratio to the LIF step of the same round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from spikecli.datasets.clouds.store import load_points
from spikecli.machine.device import choose_device
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import train_settings
from spikecli.training.train import Trainer


def main() -> None:
    """Print a row for each paper."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--timesteps", type=int, default=1)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    clouds = load_points(given.data_dir, "shapes", "train", given.points)
    device = choose_device("cpu")
    trainers, taken = {}, {name: [] for name in PAPERS}
    for name in PAPERS:
        steps = 1 if name == "ann" else given.timesteps
        values = {"points": given.points, "timesteps": steps, "precision": given.precision}
        values |= {"augment": "paper"}  # which keeps the number of points: every step has the same work
        config = train_settings("shapes", name, "short", values, {}, {})
        trainers[name] = Trainer(config, clouds, clouds.shown(steps), Path(tempfile.gettempdir()), device)
        trainers[name].model.train()
    for number in range(-2, given.rounds):
        for name, trainer in trainers.items():
            begun = time.process_time()
            trainer.make_steps(0, number + 2, 1)
            if number >= 0:
                taken[name].append(time.process_time() - begun)
    size = trainers["lif"].config.batch_size
    sys.stdout.write(
        f"| {size} clouds of {given.points} points, T = {given.timesteps}, {given.precision} | ms | lif = 1 |\n"
    )
    sys.stdout.write("|---|---|---|\n")
    for name, seconds in taken.items():
        ratio = statistics.median(own / lif for own, lif in zip(seconds, taken["lif"], strict=True))
        sys.stdout.write(f"| `{name}` | {1000 * statistics.median(seconds):.1f} | {ratio:.2f} |\n")


if __name__ == "__main__":
    main()
