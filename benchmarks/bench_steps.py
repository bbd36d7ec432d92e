"""Training steps as `spikecli train` makes them: milliseconds, samples a second, and whether graphs change a bit.

    python benchmarks/bench_steps.py                      # the GPU, or the CPU where there is none
    python benchmarks/bench_steps.py --device cpu --batch-size 4 --points 32 --steps 2     # does it run at all?

Random clouds and frames. Each case prints a line as soon as it is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikecli.machine.device import choose_device
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import map_size, network_settings
from spikecli.settings.papers import neuron_of
from spikecli.training import captured
from spikecli.training.train import Trainer

Given = argparse.Namespace


@dataclass
class Clouds:
    """As much of a split as a trainer asks for."""

    labels: np.ndarray
    classnames: tuple[str, ...]
    unit_name: str = "samples"


def case(given: Given, paper: str = "spiking-pointnet", factor: int = 1, **changes: Any) -> TrainConfig:
    """Return the settings of a case: PointNet on 40 classes, `factor` times the batch size."""
    model = network_settings(**{"neuron": neuron_of(paper), "classes": 40, **changes.pop("model", {})})
    values = {
        "paper": paper, "points": given.points, "batch_size": given.batch_size * factor, "precision": "bf16",
        "augment": "paper", "val_fraction": 0.0, "epochs": 1000, **changes,
    }  # fmt: skip
    return TrainConfig.model_validate({**values, "model": model})


def cases(given: Given) -> dict[str, TrainConfig]:
    """Return the cases in order of worth."""
    frames = {"inputs": 2, "size": (34, 34), "batch_norm": "tdbn", "classes": 10}
    dela = {"paper": "integer", "augment": "stretch", "optimizer": "adamw", "weight_decay": 0.05}
    events = {"paper": "lif", "timesteps": 4, "augment": "flip-roll"}
    return {
        "T = 1, bf16": case(given),
        "T = 1, fp32": case(given, precision="fp32"),
        "T = 4, bf16": case(given, timesteps=4),
        "--tnet pooled, bf16": case(given, model={"tnet": "pooled"}),
        "batch × 16, bf16": case(given, factor=16),
        "batch × 4, bf16": case(given, factor=4),
        "--augment thin, bf16": case(given, augment="thin"),
        "ANN, bf16": case(given, paper="ann"),
        "mpbn, sgd, bf16": case(given, paper="mpbn", optimizer="sgd"),
        "RMP-Loss, bf16": case(given, paper="lif", rmp_weight=0.5),
        "--tnet paper, bf16": case(given, model={"tnet": "paper"}),
        "DeLA, bf16": case(given, **dela, model={"name": "dela"}),
        "DeLA, width 0.25, fp32": case(given, **dela, precision="fp32", model={"name": "dela", "width": 0.25}),
        "resnet20 on frames, T = 4, bf16": case(given, **events, model={**frames, "name": "resnet20"}),
        "vgg16 on frames, T = 4, bf16": case(given, **events, model={**frames, "name": "vgg16"}),
        "joint resnet20, T = 4, bf16": case(given, **events, model={**frames, "name": "resnet20", "joint": True}),
    }


def trainer(config: TrainConfig, device: torch.device) -> Trainer:
    """Return a trainer of these settings on random samples."""
    rng = np.random.default_rng(0)
    count = max(8 * config.batch_size, 256)
    if "points" in config.model.takes:
        inputs: np.ndarray = rng.normal(size=(count, config.points, 3)).astype(np.float32) / 4
    else:
        inputs = rng.integers(0, 3, (count, config.timesteps, 2, *map_size(config.model))).astype(np.uint8)
    classes = config.model.classes
    samples: Any = Clouds(rng.integers(0, classes, count), tuple(map(str, range(classes))))
    made = Trainer(config, samples, inputs, Path(tempfile.gettempdir()), device)
    made.model.train()
    return made


def steps(made: Trainer, count: int) -> None:
    """Make `count` steps, in whole epochs, reading their sums once an epoch as training on a GPU does."""
    each = made.batches.steps
    for first in range(0, count, each):
        made.make_steps(first // each, 0, min(each, count - first))


def seconds_a_step(made: Trainer, count: int, device: torch.device) -> float:
    """Return the seconds of a step, after as many that warm up."""
    steps(made, count)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begun = time.perf_counter()
    steps(made, count)
    return (time.perf_counter() - begun) / count


def weights_after(config: TrainConfig, device: torch.device, eager: bool) -> list[torch.Tensor]:
    """Return the weights after five steps, with or without graphs."""
    made = trainer(config, device)
    if eager:
        made._runner = captured.Eager(lambda shape: made.step(*made._feed.make(shape)))
    made.make_steps(0, 0, min(5, made.batches.steps))
    return [value.cpu() for value in made.model.state_dict().values()]


def same(config: TrainConfig, device: torch.device) -> str:
    """Return whether a second run, and a run without graphs, end in the same bits."""
    first, second, plain = (weights_after(config, device, eager) for eager in (False, False, True))
    words = {True: "same bits", False: "OTHER bits"}
    again, graph = (words[all(map(torch.equal, first, other))] for other in (second, plain))
    return f"again: {again}; without graphs: {graph}"


def guarded(measure: Callable[[], str]) -> str:
    """Return what was measured, with warnings; or the error, so that the next case is measured all the same."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            text = measure()
        except Exception as error:  # noqa: BLE001 (a case that fails must not hide the others)
            text = f"FAILED: {type(error).__name__}: {str(error).splitlines()[:1]}"
    notes = {str(one.message).splitlines()[0] for one in told if issubclass(one.category, UserWarning)}
    return "; ".join([text, *sorted(notes)])


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", default="", help="cases that have this in their names")
    parser.add_argument("--no-bits", action="store_true", help="times alone")
    given = parser.parse_args()
    device = choose_device(given.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    sys.stdout.write(f"{card}, torch {torch.__version__}, {given.batch_size} samples of {given.points} points\n")
    for name, config in cases(given).items():
        if given.only not in name:
            continue

        def measure(config: TrainConfig = config) -> str:
            seconds = seconds_a_step(trainer(config, device), given.steps, device)
            bits = "" if given.no_bits else f"; {same(config, device)}"
            return f"{1e3 * seconds:8.3f} ms  {config.batch_size / seconds:9.0f} samples/s{bits}"

        sys.stdout.write(f"{name:34s} {guarded(measure)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
