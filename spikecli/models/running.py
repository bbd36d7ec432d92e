"""Run a network on samples, some at a time: each step's logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.machine.device import autocast, seed_draws
from spikecli.models.inputs import to_network

BATCH = 32
GPU_BATCH, GPU_VALUES = 256, 2**22  # on a GPU: at most so many samples at once, or numbers in their inputs


def step_logits(
    model: nn.Module,
    inputs: np.ndarray,
    timesteps: int,
    device: torch.device,
    precision: str,
    seed: int,
    on_samples: Callable[[int], None] = lambda samples: None,
) -> Tensor:
    """Return each step's logits (T, S, K), float32 on the CPU, of points, images or frames (S, ...).

    The membrane carries on from step to step and no step looks ahead: the first t rows are what a run of t gives.
    """
    was_training = model.training
    if any(part.training for part in model.modules()):  # eval() costs a small network a fiftieth of its time
        model.eval()
    kind = next(model.parameters()).dtype
    parts = []
    with inference(device, precision, seed):
        size = samples_at_a_time(inputs, device)
        for start in range(0, len(inputs), size):
            part = inputs[start : start + size]
            parts.append(model(to_network(part, device, kind), timesteps).float())
            on_samples(len(part))
    if was_training:
        model.train()
    return torch.cat(parts, 1).cpu()  # once, at the end: a GPU's host waits for it


@contextmanager
def inference(device: torch.device, precision: str, seed: int) -> Iterator[None]:
    """Run the block without gradients, with products in `precision`; draws follow `seed` and leave no trace outside."""
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        torch.inference_mode(),
        autocast(device, precision),
    ):
        seed_draws(device, seed)
        yield


def samples_at_a_time(inputs: np.ndarray, device: torch.device) -> int:
    """Return the batch size of samples (S, ...): BATCH, or on a GPU as many as fill it."""
    if device.type != "cuda":
        return BATCH
    return max(BATCH, min(GPU_BATCH, GPU_VALUES // inputs[0].size)) if len(inputs) else BATCH
