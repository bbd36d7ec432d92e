"""From a batch of samples to the tensor that a network takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_network(batch: np.ndarray, device: torch.device, kind: torch.dtype) -> Tensor:
    """Return a batch as network input: points (B, N, 3), images (B, C, H, W) in −2 … 2, frames (T, B, 2, H, W).

    An image's pixels become (value/255 − ½)/¼, whatever the data set's own mean and deviation. The first batch norm
    undoes a factor, but no shift: padding is 0 either way.
    """
    return as_network_input(to_device(batch, device), kind)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return an array as a tensor on the device; to a GPU the copy is asynchronous, from pinned memory."""
    x = torch.from_numpy(np.ascontiguousarray(array))
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def as_network_input(x: Tensor, kind: torch.dtype) -> Tensor:
    """Return samples (B, ...) on the device as network input."""
    x = x.to(kind)
    if x.dim() == 5:
        return x.transpose(0, 1)
    return (x / 255 - 0.5) / 0.25 if x.dim() == 4 else x
