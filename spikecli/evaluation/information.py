"""The information that spikes carry: the entropy of what each layer emits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikecli.evaluation.energy import Operations


def entropy(counts: Tensor) -> float:
    """Return H = −Σ p·log₂ p in bits, p the shares of the counts (levels,); 0 if there are none.

    Spikes of 0 and 1 carry 1 bit at most, of −1, 0 and 1 log₂ 3 = 1.585 (2312.06372).
    """
    shares = counts / counts.sum().clamp(min=1)
    return -(shares * shares.clamp(min=torch.finfo(shares.dtype).tiny).log2()).sum().item() + 0.0


def information(counts: Operations, timesteps: int) -> dict[str, Any]:
    """Return the entropy of a spike in bits, over the first `timesteps` steps: by layer, and as the mean over neurons.

    It is that of the shares of each level in a whole layer; how much of it tells of the input is not measured.
    """
    seen = {name: sums[:, :timesteps].sum(1) for name, sums in counts.levels.items()}
    bits = {name: entropy(found) for name, found in seen.items() if found.sum()}
    total = sum(seen[name].sum().item() for name in bits)
    mean = sum(value * seen[name].sum().item() for name, value in bits.items()) / total if total else 0.0
    return {"entropy_bits": mean, "by_layer": bits}
