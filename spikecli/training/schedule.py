"""Learning rate and optimizer of a run, as functions of its settings and progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from spikecli.machine.optimizers import eager
from spikecli.neurons import Neuron
from spikecli.settings.config import TrainConfig

WARM_UP = 0.2  # share of a one-cycle run in which the rate rises
STEP_EPOCHS, STEP_FACTOR = 20, 0.7  # 2310.06232: ×0.7 every 20 epochs


def one_cycle(config: TrainConfig, epochs_done: float) -> float:
    """Return the rate of a cosine up from lr/25 over the first fifth and a cosine down to lr/10,000."""
    part = min(epochs_done / config.epochs, 1.0)
    if part < WARM_UP:
        low, high, way = config.lr / 25, config.lr, part / WARM_UP
    else:
        low, high, way = config.lr, config.lr / 10_000, (part - WARM_UP) / (1 - WARM_UP)
    return high + (low - high) * (1 + math.cos(math.pi * way)) / 2


def steps_down(config: TrainConfig, epochs_done: float) -> float:
    """Return lr · 0.7^⌊epochs/20⌋."""
    return config.lr * STEP_FACTOR ** (int(epochs_done) // STEP_EPOCHS)


def cosine(config: TrainConfig, epochs_done: float) -> float:
    """Return the rate of a cosine from lr down to 0."""
    return config.lr * (1 + math.cos(math.pi * min(epochs_done / config.epochs, 1.0))) / 2


def warm_up(config: TrainConfig, epochs_done: float) -> float:
    """Return the rate of a line up from lr/20 over the first tenth and a cosine down to lr/10,000 (2308.16532)."""
    part = min(epochs_done / config.epochs, 1.0)
    if part < 0.1:
        return config.lr * (1 + 19 * part / 0.1) / 20
    low = config.lr / 10_000
    return low + (config.lr - low) * (1 + math.cos(math.pi * (part - 0.1) / 0.9)) / 2


SCHEDULES = {"onecycle": one_cycle, "step": steps_down, "cosine": cosine, "warmup": warm_up}
OPTIMIZERS: dict[str, Callable[[TrainConfig], Callable[..., torch.optim.Optimizer]]] = {
    "adam": lambda config: eager(torch.optim.Adam),
    "adamw": lambda config: eager(torch.optim.AdamW),
    "sgd": lambda config: partial(eager(torch.optim.SGD), momentum=config.momentum),
}


def learning_rate(config: TrainConfig, epochs_done: float) -> float:
    """Return the learning rate after `epochs_done` epochs (fractions allowed)."""
    return SCHEDULES[config.schedule](config, epochs_done)


def triangle(config: TrainConfig, epochs_done: float) -> float:
    """Return 2k·n/N up to half of the N epochs and 2k·(1 − n/N) after it (2308.06787, as we recall it)."""
    part = min(epochs_done / config.epochs, 1.0)
    return 2 * config.rmp_weight * min(part, 1 - part)


RMP_SCHEDULES = {"triangle": triangle, "constant": lambda config, epochs_done: config.rmp_weight}


def membrane_weight(config: TrainConfig, epochs_done: float) -> float:
    """Return the weight λ of RMP-Loss after `epochs_done` epochs (fractions allowed)."""
    return RMP_SCHEDULES[config.rmp_schedule](config, epochs_done)


def optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of `model`'s parameters; on a GPU its rate is a tensor, which a CUDA graph can read."""
    groups: list[dict[str, Any]] = [{"params": list(model.parameters())}]
    if config.decayed == "weights":
        weights, others = _split(model)
        groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    device = next(model.parameters()).device
    rate: float | torch.Tensor = config.lr
    graph: dict[str, Any] = {}
    if device.type == "cuda":
        rate = torch.full((), config.lr, device=device)
        graph = {} if config.optimizer == "sgd" else {"capturable": True}  # counts its steps there, too
    make = OPTIMIZERS[config.optimizer](config)
    return make(groups, lr=rate, weight_decay=config.weight_decay, fused=True, **graph)


def _split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the weights of products, and all other parameters: norms, biases and those of neurons."""
    held = {id(p) for module in model.modules() if isinstance(module, Neuron) for p in module.parameters()}
    weights = [p for p in model.parameters() if p.dim() > 1 and id(p) not in held]
    chosen = {id(p) for p in weights}
    return weights, [p for p in model.parameters() if id(p) not in chosen]
