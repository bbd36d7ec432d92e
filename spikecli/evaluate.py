"""A trained model's answers and scores at each number of time steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spikecli import checkpoint as checkpoints
from spikecli.device import autocast, choose_device

BATCH = 32


def step_logits(
    model: nn.Module,
    points: np.ndarray,
    timesteps: int,
    device: torch.device,
    precision: str,
    seed: int,
    on_step: Callable[[int], None] = lambda clouds: None,
) -> Tensor:
    """Return each step's logits (T, S, K), float32 on the CPU, of clouds (S, N, 3).

    The membrane carries on from step to step and no step looks ahead: the first t rows are what a run of t gives.
    """
    was_training = model.training
    model.eval()
    kind = next(model.parameters()).dtype
    parts = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(points), BATCH):
            batch = torch.from_numpy(points[start : start + BATCH]).to(device, kind)
            with autocast(device, precision):
                parts.append(model(batch, timesteps).float().cpu())
            on_step(len(batch))
    model.train(was_training)
    return torch.cat(parts, 1)


def predict_clouds(checkpoint: Path, points: np.ndarray, timesteps: int, seed: int, device: str = "auto") -> np.ndarray:
    """Return probabilities (T, S, K) of clouds (S, N, 3): row t is the softmax of the mean of t + 1 steps' logits."""
    path = checkpoints.resolve(checkpoint)
    chosen = choose_device(device)
    model = checkpoints.network(checkpoints.load(path), path).to(chosen)
    logits = step_logits(model, points, timesteps, chosen, "fp32", seed)
    steps = torch.arange(1, timesteps + 1, dtype=torch.float32)
    return (logits.cumsum(0) / steps[:, None, None]).softmax(-1).numpy()
