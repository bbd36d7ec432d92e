"""From a batch of samples to the tensor that a network takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


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


# Mean and deviation of each channel in 0 … 1, as the releases write them (2308.08359 and its sisters).
PIXELS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


class PixelScale(nn.Module):
    """Images (B, C, H, W) of values (p − ½)/¼ → (p − mean)/deviation by channel; frames pass as they are."""

    factor: Tensor
    shift: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        mean, deviation = (torch.tensor(each, dtype=torch.float64)[:, None, None] for each in PIXELS[name])
        self.register_buffer("factor", (0.25 / deviation).float(), persistent=False)
        self.register_buffer("shift", ((0.5 - mean) / deviation).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift.to(x.dtype), x, self.factor.to(x.dtype)) if x.dim() == 4 else x


def pixels_of(name: str) -> nn.Module:
    """Return what brings an image's values to the form that a network's setting `pixels` names."""
    return PixelScale(name) if name in PIXELS else nn.Identity()
