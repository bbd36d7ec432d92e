"""Two networks compared on the same samples: spikes, logits, currents, potentials and thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import SpikeError
from spikecli.evaluation.how import OnSamples, silent
from spikecli.evaluation.thresholds import threshold_differences
from spikecli.models.running import step_logits
from spikecli.neurons import layers
from spikecli.neurons.answers import levels_of

TOLERANCE = 1e-9  # of a logit in float64
FINE = 1e-10  # of currents, potentials (of 1 + their size) and thresholds in float64
BATCH = 4  # samples whose every spike, current and potential is kept at a time


@dataclass(frozen=True)
class Comparison:
    """Differences of two networks on the same samples, with the same noise."""

    max_logit_difference: float = 0.0
    answers_changed: int = 0  # samples whose most probable class differs, counted for each T
    spikes: int = 0  # compared
    spikes_flipped: int = 0
    flipped: dict[str, int] = field(default_factory=dict)  # by neurons, where there are any
    emits_spikes_alone: bool = True  # of the second network: nothing but the levels of its fire functions
    currents: dict[str, float] = field(default_factory=dict)  # by neurons: largest |x − x'|/(1 + |x|) of the input
    potentials: dict[str, float] = field(default_factory=dict)  # likewise of the charged membrane v
    thresholds: dict[str, float] = field(default_factory=dict)  # likewise |u − θ| where the second has its threshold

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
            _largest(self.currents, other.currents),
            _largest(self.potentials, other.potentials),
            _largest(self.thresholds, other.thresholds),
        )

    @property
    def max_current_difference(self) -> float:
        """The largest difference of an input current, as a share of 1 + its size."""
        return _highest(self.currents)

    @property
    def max_potential_difference(self) -> float:
        """The largest difference of a membrane potential, as a share of 1 + its size."""
        return _highest(self.potentials)

    @property
    def max_threshold_difference(self) -> float:
        """The largest distance of a threshold from the original's, in what the fire function sees."""
        return _highest(self.thresholds)


def _largest(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {name: float(np.maximum(first.get(name, 0.0), second.get(name, 0.0))) for name in {**first, **second}}


def _highest(found: dict[str, float]) -> float:
    return float(np.max([0.0, *found.values()]))


class _Record:
    """The record of a pass: logits, and each neuron's spikes, currents and potentials.

    The record of the second network holds differences `against` the first one's, and no currents of its own.
    """

    def __init__(self, against: _Record | None = None) -> None:
        self.logits = torch.empty(0)
        self.spikes: dict[str, list[Tensor]] = {}
        self.plain = True
        self.against = against
        self.kept: dict[str, dict[str, list[Tensor]]] = {"currents": {}, "potentials": {}}
        self.apart: dict[str, dict[str, float]] = {"currents": {}, "potentials": {}}

    def on_model(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.logits = output

    def on_neuron(self, levels: tuple[float, ...], output: Tensor) -> None:
        self.plain &= bool(torch.isin(output, output.new_tensor(levels)).all())

    def on_value(self, what: str, name: str, value: Tensor) -> None:
        """Store a current or a potential; for the second network, its distance from the first one's."""
        if self.against is None:
            self.kept[what].setdefault(name, []).append(value)
            return
        first = self.against.kept[what][name].pop(0)
        apart = ((first - value).abs() / (1 + first.abs())).max().item()
        self.apart[what] = _largest(self.apart[what], {name: apart})


@contextmanager
def _recorded(model: nn.Module, against: _Record | None = None) -> Iterator[_Record]:
    record = _Record(against)
    handles = [model.register_forward_hook(record.on_model)]
    for name, neuron in layers(model).items():
        seen, levels = record.spikes.setdefault(name, []), levels_of(neuron.fire, f"{name}.fire")
        handles += [
            neuron.register_forward_pre_hook(lambda m, i, name=name: record.on_value("currents", name, i[0])),
            neuron.norm.register_forward_pre_hook(lambda m, i, name=name: record.on_value("potentials", name, i[0])),
            neuron.fire.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.to(torch.float16))),
            neuron.register_forward_hook(lambda m, i, o, levels=levels: record.on_neuron(levels, o)),
        ]
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
    """Return the differences of `folded` from `original` on inputs (S, ...), in the type of their weights.

    Both draw the same noise, since they draw it from the same seed for the same neurons in the same order. Raise
    SpikeError for a fire function that does not say its levels and steps.
    """
    total = Comparison(thresholds=threshold_differences(original, folded))
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        records: list[_Record] = []
        for model in (original, folded):
            with _recorded(model, records[0] if records else None) as record:
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
        **second.apart,
    )


def demand_equality(comparison: Comparison, source: Path) -> None:
    """Raise SpikeError unless a comparison in float64 found two equal networks, the second emitting spikes alone.

    Spikes and logits alone would miss a leak that is off by 1e-9 or a threshold that is off by 1e-6: on a few samples
    no membrane lies so near its threshold. So currents, potentials and thresholds must be equal to FINE too.
    """
    name, count = next(iter(comparison.flipped.items()), ("", 0))
    if name:
        found = f"{count} spikes of {name} flipped"
    elif inner := _unequal(comparison):
        found = inner
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


def _unequal(comparison: Comparison) -> str:
    """Return which inner values of which neurons differ by more than FINE or are NaN; "" if none do."""
    for what, found in (
        ("the thresholds", comparison.thresholds),
        ("the input current", comparison.currents),
        ("the membrane potential", comparison.potentials),
    ):
        for name, apart in found.items():
            if not apart <= FINE:
                return f"{what} of {name} differing by {apart:.3g}"
    return ""
