"""Fold a checkpoint, and prove on real samples that the network is still the same."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.evaluation.comparison import Comparison, compare, demand_equality
from spikecli.evaluation.evaluate import samples_for
from spikecli.evaluation.how import How
from spikecli.neurons import layers
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.reparameterize import Fold, folds, reparameterize
from spikecli.weights.trained import Trained

TIMESTEPS = (1, 4)
MOST_CHANGED = 0.05  # share of answers that rounding the weights may change
LARGE, FEW = 2_000_000, 20_000  # weights of a network, values of a tensor


@dataclass(frozen=True)
class Folded:
    """The result of folding: the folded parts, the file, and the comparison on samples of a split."""

    folds: list[Fold]
    out: Path
    checkpoint: Path
    dataset: str
    split: str
    samples: int
    float64: Comparison
    written: Comparison  # of the weights as they were written, computing in float32
    stored: str  # the type they were written in
    in_float32: list[str]  # tensors that were kept in float32, since that type cannot hold them


def fold(
    trained: Trained,
    out: Path,
    data_dir: Path,
    dataset: str | None = None,
    split: str = "test",
    samples: int = 32,
    how: How = How(),
    kind: torch.dtype = torch.float32,
) -> Folded:
    """Fold a network, prove it equal on samples of a split, write it to `out`, and return the result.

    The network is proved in float64 on its own device; its weights are then rounded to `kind`, and what that changes is
    told. Raise SpikeError if a fold is impossible, if the two are not equal in float64, if rounding changes more
    answers than MOST_CHANGED, or if `out` holds something else.
    """
    place = torch.device("cpu") if trained.device.type == "mps" else trained.device  # which has no float64
    _demand_foldable(trained, out)
    held = samples_for(trained, data_dir, dataset, split)
    chosen = _spread(len(held.labels), samples)
    inputs = {timesteps: held.inputs(timesteps, chosen) for timesteps in TIMESTEPS}

    def compared(first: nn.Module, second: nn.Module) -> Comparison:
        parts = (compare(first, second, frames, t, how.seed, place, how.on_samples) for t, frames in inputs.items())
        return sum(parts, Comparison())

    original = trained.on(place).network
    exact = copy.deepcopy(original).double()
    folded = reparameterize(exact)
    float64 = compared(exact, folded)
    demand_equality(float64, trained.path)
    written = _written(trained, folded, kind)
    rounded = compared(original, checkpoints.network(written, out).to(place))
    _demand_answers(rounded, len(TIMESTEPS) * len(chosen), kind)
    checkpoints.save(out, written)
    counted = len(chosen), float64, rounded
    return Folded(folds(original), out, trained.path, held.dataset, split, *counted, *_stored(written, kind))


def _stored(written: checkpoints.Checkpoint, kind: torch.dtype) -> tuple[str, list[str]]:
    """Return the type of the written weights, and the names of those kept in float32."""
    name = str(kind).removeprefix("torch.")
    return name, [each for each, value in written.tensors.items() if value.dtype != kind]


def _demand_foldable(trained: Trained, out: Path) -> None:
    if trained.config.model.folded:
        raise SpikeError(f"{trained.path} is folded already; give the run that it was folded from, or use it as it is")
    if out.is_dir():
        raise SpikeError(f"{out} is a folder; name a file in it, such as {out / 'folded.safetensors'}")
    if out.exists() and not _is_folded(out):
        raise SpikeError(f"{out} is there and no folded checkpoint, so it would be lost; name another file")


def _demand_answers(written: Comparison, answers: int, kind: torch.dtype) -> None:
    if written.answers_changed > MOST_CHANGED * answers:
        name = str(kind).removeprefix("torch.")
        raise SpikeError(
            f"rounding the weights to {name} changes {written.answers_changed} of {answers} answers, more than "
            f"{MOST_CHANGED:.0%}; nothing was written: keep them in float32, or compare more samples"
        )


def _is_folded(path: Path) -> bool:
    try:
        return checkpoints.load(path).config.model.folded
    except SpikeError:  # no checkpoint at all
        return False


def _spread(count: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` indices, spread evenly over `count` samples that are sorted by class."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def _written(trained: Trained, folded: nn.Module, kind: torch.dtype) -> checkpoints.Checkpoint:
    """Return the checkpoint of a folded network with weights of one type, as `checkpoints.network` reads it.

    Thresholds and leaks stay in float32: they are few, and every spike hangs on them. So does what overflows `kind`.
    Of a large network, tensors of fewer than FEW values stay too: the layers near the input are small, take a
    twentieth of the bytes, and pass their rounding on to all others.
    """
    large = sum(value.numel() for value in folded.state_dict().values()) > LARGE
    neurons = tuple(f"{name}." for name in layers(folded))

    def rounded(name: str, value: Tensor) -> Tensor:
        small = value.to(kind)
        exact = name.startswith(neurons) or (large and value.numel() < FEW) or not small.isfinite().all()
        return value.float() if exact else small

    tensors = {name: rounded(name, value) for name, value in folded.state_dict().items()}
    model = trained.config.model.alone().model_copy(update={"folded": True})
    config = trained.config.model_copy(update={"model": model})
    notes = {**trained.notes, "folded_from": trained.path.name}
    return checkpoints.Checkpoint(tensors, config, trained.classnames, notes)
