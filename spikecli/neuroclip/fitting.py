"""Fit NeuroCLIP's adapter to CLIP's features of a few recordings (arXiv 2306.12073)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.errors import SpikeError, named
from spikecli.evaluation.metrics import instance_accuracy
from spikecli.machine.optimizers import eager
from spikecli.models.adapter import NEURONS, InterTimestepAdapter, growing_logits
from spikecli.neuroclip.zeroshot import zero_shot_logits
from spikecli.settings.fewshot import Norms, Smoothed, TextLength

_WARMUP_RATE = 1e-5  # of the first epoch
_SELECTION_EPOCHS = (50, 150)
_SELECTION_BLENDS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Fitting:
    """Settings of fitting an adapter; three have our own default beside what was released (docs/neuroclip.md)."""

    adapter: str = "spiking"  # spiking, relu, or none: the features as they are
    epochs: int = 150
    blend: float = 0.6
    batch_size: int = 32
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.2
    text_length: str = "each"  # length 1: each step's text feature, or the T repeated ones as one vector (whole)
    norms: str = "pooled"  # statistics of the adapter's norms: of all steps, or of each step by itself (step)
    smoothed: str = "all"  # classes that share the smoothing: all of them, or those that are wrong (others)

    def __post_init__(self) -> None:
        known = {
            "adapter": (*NEURONS, "none"),
            "text_length": get_args(TextLength),
            "norms": get_args(Norms),
            "smoothed": get_args(Smoothed),
        }
        for name, values in known.items():
            if (found := getattr(self, name)) not in values:
                raise SpikeError(f"found {name.replace('_', ' ')} {found!r}; wanted one of {', '.join(values)}")

    def scaled(self, scale: float, timesteps: int) -> float:
        """Return CLIP's factor exp(s), over √T where the repeated text features have length 1 as one vector."""
        return scale / math.sqrt(timesteps) if self.text_length == "whole" else scale

    def smoothing(self, classes: int) -> float:
        """Return torch's label smoothing: it shares ε among all K classes, the release among the K − 1 others.

        ε·K/(K − 1) leaves 1 − ε to the right class and gives ε/(K − 1) to each other one.
        """
        return self.label_smoothing * classes / (classes - 1) if self.smoothed == "others" else self.label_smoothing


def build_adapter(fitting: Fitting, dim: int) -> nn.Module:
    """Return a fresh adapter for features of `dim`; it maps (T, B, D) to (T, B, D)."""
    if fitting.adapter == "none":
        return nn.Identity()
    return InterTimestepAdapter(dim, NEURONS[fitting.adapter], fitting.blend, norms_by_step=fitting.norms == "step")


def fit(
    views: Tensor,
    labels: Tensor,
    texts: Tensor,
    scale: float,
    fitting: Fitting,
    seed: int,
    on_epoch: Callable[[int], None] = lambda n: None,
) -> nn.Module:
    """Return an adapter fitted to features (V, S, T, D), V views of each of S recordings, and their labels (S,)."""
    with torch.random.fork_rng(devices=[views.device] if views.device.type == "cuda" else []):
        torch.manual_seed(seed)
        adapter = build_adapter(fitting, views.shape[-1]).to(views.device)
        if fitting.adapter == "none":
            return adapter.eval()
        generator = torch.Generator().manual_seed(seed)
        scale, smoothing = fitting.scaled(scale, views.shape[2]), fitting.smoothing(len(texts))
        optimizer = eager(torch.optim.SGD)(
            adapter.parameters(), fitting.lr, momentum=fitting.momentum, weight_decay=fitting.weight_decay
        )
        for epoch in range(fitting.epochs):
            for group in optimizer.param_groups:
                group["lr"] = _rate(epoch, fitting)
            for batch in _batches(len(labels), fitting.batch_size, generator):
                which = torch.randint(len(views), (len(batch),), generator=generator)
                features = views[which, batch].transpose(0, 1)  # (T, B, D)
                logits = growing_logits(adapter(features), texts, scale).mean(dim=0)
                loss = functional.cross_entropy(logits, labels[batch], label_smoothing=smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            on_epoch(1)
    return adapter.eval()


@torch.no_grad()
def adapted_logits(adapter: nn.Module, features: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Return logits (T, B, K) of features (B, T, D) after the adapter."""
    return growing_logits(adapter(features.transpose(0, 1)), texts, scale)


def accuracy(adapter: nn.Module, features: Tensor, labels: Tensor, texts: Tensor, scale: float) -> float:
    """Return the share of recordings, as features (B, T, D), that are classified correctly."""
    return instance_accuracy(adapted_logits(adapter, features, texts, scale).mean(dim=0).argmax(dim=1), labels)


def zero_shot_accuracy(features: Tensor, labels: Tensor, texts: Tensor, scale: float) -> float:
    """Return the same share without any shots."""
    return instance_accuracy(zero_shot_logits(features, texts, scale).mean(dim=0).argmax(dim=1), labels)


def select(
    views: Tensor,
    labels: Tensor,
    texts: Tensor,
    scale: float,
    fitting: Fitting,
    seed: int,
    on_epoch: Callable[[int], None] = lambda n: None,
) -> Fitting:
    """Return `fitting` with the epochs and the blend that are best on held-out shots; the test split is not used.

    A quarter of each class's shots, at least one, is held out. Ties go to the settings nearest to the paper's.
    """
    held = _held_out(labels)
    kept = ~held
    results = []
    for epochs, blend in itertools.product(_SELECTION_EPOCHS, _SELECTION_BLENDS):
        trial = replace(fitting, epochs=epochs, blend=blend)
        adapter = fit(views[:, kept], labels[kept], texts, scale, trial, seed, on_epoch)
        right = accuracy(adapter, views[0, held], labels[held], texts, scale)
        results.append((right, -abs(blend - fitting.blend), -abs(epochs - fitting.epochs), trial))
    return max(results, key=lambda result: result[:3])[3]


def selection_epochs() -> int:
    """Return the number of epochs that `select` trains in all its trials."""
    return sum(_SELECTION_EPOCHS) * len(_SELECTION_BLENDS)


def _held_out(labels: Tensor) -> Tensor:
    """Return a mask (S,) of the held-out shots: the last quarter of each class, which all have as many shots."""
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        if len(members) < 2:
            raise SpikeError(
                f"found one shot a class, none of which can be held out; remove {named('select')} or add shots"
            )
        held[members[-max(1, len(members) // 4) :].cpu()] = True
    return held


def _batches(samples: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of an epoch's batches; a last batch of one sample joins the one before, for the batch norm."""
    order = torch.randperm(samples, generator=generator)
    ends = list(range(size, samples, size))
    if ends and samples - ends[-1] == 1:
        ends.pop()
    yield from order.tensor_split(ends)


def _rate(epoch: int, fitting: Fitting) -> float:
    """Return the learning rate: one epoch of warm-up, then a cosine."""
    if epoch == 0 and fitting.epochs > 1:
        return _WARMUP_RATE
    return fitting.lr * (1 + math.cos(math.pi * epoch / fitting.epochs)) / 2
