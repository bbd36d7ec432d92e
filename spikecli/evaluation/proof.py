"""A checkpoint folded, and the proof on real samples that it is still the same network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import samples_for, step_logits
from spikecli.evaluation.how import How, OnSamples, silent
from spikecli.neurons import Neuron
from spikecli.neurons.answers import levels_of
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.reparameterize import Fold, folds, reparameterize
from spikecli.weights.trained import Trained

TIMESTEPS = (1, 4)
TOLERANCE = 1e-9  # of a logit in float64
BATCH = 4  # samples whose every spike is kept at a time


@dataclass(frozen=True)
class Comparison:
    """How far two networks differ on the same samples, with the same draws of noise."""

    max_logit_difference: float = 0.0
    answers_changed: int = 0  # samples whose most probable class differs, counted for each T
    spikes: int = 0  # compared
    spikes_flipped: int = 0
    flipped: dict[str, int] = field(default_factory=dict)  # by neurons, where there are any
    emits_spikes_alone: bool = True  # of the second network: nothing but 0 and 1, or −1, 0 and 1

    def __add__(self, other: Comparison) -> Comparison:
        names = [*self.flipped, *(name for name in other.flipped if name not in self.flipped)]
        return Comparison(
            # A difference that is not a number is kept: neither builtin max nor a comparison would.
            float(np.maximum(self.max_logit_difference, other.max_logit_difference)),
            self.answers_changed + other.answers_changed,
            self.spikes + other.spikes,
            self.spikes_flipped + other.spikes_flipped,
            {name: self.flipped.get(name, 0) + other.flipped.get(name, 0) for name in names},
            self.emits_spikes_alone and other.emits_spikes_alone,
        )


@dataclass(frozen=True)
class Folded:
    """What was folded, written where, and how it compares on how many samples of which split."""

    folds: list[Fold]
    out: Path
    checkpoint: Path
    dataset: str
    split: str
    samples: int
    float64: Comparison
    written: Comparison  # of the weights as they were written, computing in float32
    stored: str  # the type they were written in


class _Record:
    """What a network did in a pass: the logits, each neuron's spikes, and whether it emitted anything else."""

    def __init__(self) -> None:
        self.logits = torch.empty(0)
        self.spikes: dict[str, list[Tensor]] = {}
        self.plain = True

    def on_model(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.logits = output

    def on_neuron(self, module: Neuron, inputs: Any, output: Tensor) -> None:
        levels = output.new_tensor(levels_of(module.fire, "fire"))
        self.plain &= bool(torch.isin(output, levels).all())


@contextmanager
def _recorded(model: nn.Module) -> Iterator[_Record]:
    record = _Record()
    handles = [model.register_forward_hook(record.on_model)]
    for name, module in model.named_modules():
        if isinstance(module, Neuron):
            seen = record.spikes.setdefault(name, [])
            handles.append(module.register_forward_hook(record.on_neuron))
            handles.append(module.fire.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.to(torch.int8))))
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()


def compare(
    original: nn.Module,
    folded: nn.Module,
    inputs: np.ndarray,
    timesteps: int,
    seed: int,
    device: torch.device,
    on_samples: OnSamples = silent,
) -> Comparison:
    """Return how far `folded` differs from `original` on inputs (S, ...), in the type of their weights.

    Both draw the same noise, since they draw it from the same seed for the same neurons in the same order.
    """
    total = Comparison()
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        records = []
        for model in (original, folded):
            with _recorded(model) as record:
                step_logits(model, batch, timesteps, device, "fp32", seed + start)
            records.append(record)
        total += _difference(*records)
        on_samples(len(batch))
    return total


def _difference(first: _Record, second: _Record) -> Comparison:
    changed = first.logits.mean(0).argmax(-1) != second.logits.mean(0).argmax(-1)
    flips = {
        name: sum(int((a != b).sum()) for a, b in zip(spikes, second.spikes[name], strict=True))
        for name, spikes in first.spikes.items()
    }
    return Comparison(
        (first.logits - second.logits).abs().max().item(),
        int(changed.sum()),
        sum(part.numel() for spikes in first.spikes.values() for part in spikes),
        sum(flips.values()),
        {name: count for name, count in flips.items() if count},
        second.plain,
    )


def demand_equality(comparison: Comparison, source: Path) -> None:
    """Raise SpikeError unless a comparison in float64 found two equal networks, the second emitting spikes alone."""
    name, count = next(iter(comparison.flipped.items()), ("", 0))
    if name:
        found = f"{count} spikes of {name} flipped"
    elif not comparison.max_logit_difference <= TOLERANCE:  # nor where it is not a number
        found = f"a logit differs by {comparison.max_logit_difference:.3g}"
    elif not comparison.emits_spikes_alone:
        found = "values other than spikes emitted"
    else:
        return
    raise SpikeError(
        f"the folded network is not equal to {source} in float64, found {found}; nothing was written: "
        "go on with the network as it was trained, and report this fault"
    )


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
    """Return what became of a network that was folded, proved equal on samples of a split, and written to `out`.

    The network is proved in float64 on its own device; its weights are then rounded to `kind`, and what that changes is
    told. Raise SpikeError if a fold is impossible, if the two are not equal in float64, or if `out` holds something
    else.
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
    checkpoints.save(out, written)
    stored = str(kind).removeprefix("torch.")
    return Folded(folds(original), out, trained.path, held.dataset, split, len(chosen), float64, rounded, stored)


def _demand_foldable(trained: Trained, out: Path) -> None:
    if trained.config.model.folded:
        raise SpikeError(f"{trained.path} is folded already; give the run that it was folded from, or use it as it is")
    if out.is_dir():
        raise SpikeError(f"{out} is a folder; name a file in it, such as {out / 'folded.safetensors'}")
    if out.exists() and not _is_folded(out):
        raise SpikeError(f"{out} is there and no folded checkpoint, so it would be lost; name another file")


def _is_folded(path: Path) -> bool:
    try:
        return checkpoints.load(path).config.model.folded
    except SpikeError:  # no checkpoint at all
        return False


def _spread(count: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` indices spread evenly over `count` samples, which lie class by class."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def _written(trained: Trained, folded: nn.Module, kind: torch.dtype) -> checkpoints.Checkpoint:
    """Return the checkpoint of a folded network with weights of one type, as `checkpoints.network` reads it."""
    tensors = {name: value.to(kind) for name, value in folded.state_dict().items()}
    model = trained.config.model.alone().model_copy(update={"folded": True})
    config = trained.config.model_copy(update={"model": model})
    notes = {**trained.notes, "folded_from": trained.path.name}
    return checkpoints.Checkpoint(tensors, config, trained.classnames, notes)
