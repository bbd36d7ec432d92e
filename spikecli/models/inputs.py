"""From a batch of samples to the tensor that a network takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_network(batch: np.ndarray, device: torch.device, kind: torch.dtype) -> Tensor:
    """Return a batch as a network takes it: points (B, N, 3), images (B, C, H, W) in −2 … 2, frames (T, B, 2, H, W).

    An image's pixels become (value/255 − ½)/¼: what a data set's own mean and deviation would change of that, the
    first batch norm undoes.
    """
    x = torch.from_numpy(np.ascontiguousarray(batch)).to(device).to(kind)
    if x.dim() == 5:
        return x.transpose(0, 1)
    return (x / 255 - 0.5) / 0.25 if x.dim() == 4 else x
