"""The papers as values: a neuron, and the settings of training and network that its method needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from spikecli.errors import ChoiceError, SettingError, SpikeError
from spikecli.settings import choices
from spikecli.settings.config import NeuronConfig, Settings, validated


class Paper(Settings):
    """A method of a paper: its neuron (None: ReLUs), and the settings of training and network that it needs."""

    neuron: NeuronConfig | None
    arxiv: str | None = None  # number at https://arxiv.org/abs/
    training: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)


# A paper is a value. Surrogates are those of the authors' released code: a rectangle where none else is named, tanh in
# Spiking PointNet (k = 5) and MPBN (k = 3). Real Spike was released with SpikingJelly's integrate-and-fire neuron: no
# leak, hard reset without a gradient, and that neuron's own surrogate, an arctangent's derivative. Its θ is 1
# (`--threshold 1`) and it fires at v = θ too; here θ = ½ as everywhere, since our networks begin for it, and strictly.
PAPERS: dict[str, Paper] = {
    "lif": Paper(neuron=NeuronConfig()),
    "spiking-pointnet": Paper(neuron=NeuronConfig(start="perturbed", surrogate="tanh", slope=5.0), arxiv="2310.06232"),
    "ternary": Paper(neuron=NeuronConfig(fire="ternary", surrogate="rectangle"), arxiv="2312.06372"),
    "ternary-trainable": Paper(
        neuron=NeuronConfig(fire="ternary", surrogate="rectangle", amplitude="scalar"), arxiv="2312.06372"
    ),
    "integer": Paper(
        neuron=NeuronConfig(fire="integer", decay=1.0, reset="soft", reset_amount=1.0), arxiv="2407.20708"
    ),
    "mpbn": Paper(neuron=NeuronConfig(norm="mpbn", surrogate="tanh", slope=3.0), arxiv="2308.08359"),
    "rmp-loss": Paper(neuron=NeuronConfig(), arxiv="2308.06787", training={"rmp_weight": 0.1}),
    "soft-reset-mpr": Paper(
        neuron=NeuronConfig(norm="rectifier", decay=1.0, reset="soft", reset_amount=1.0, surrogate="rectangle"),
        arxiv="2307.04356",
    ),
    "real-spike": Paper(
        neuron=NeuronConfig(amplitude="channel", decay=1.0, reset="hard-detached", surrogate="arctan"),
        arxiv="2210.06686",
    ),
    "joint": Paper(neuron=NeuronConfig(surrogate="rectangle"), arxiv="2305.02099", model={"joint": True}),
    "ann": Paper(neuron=None),
}


def add(name: str, paper: Paper, help: str = "") -> None:
    """Add a paper from outside under a name."""
    choices.add("paper", name, help)
    PAPERS[name] = paper


def paper_of(name: str) -> Paper:
    """Return the paper of a name, or the combination of several, such as `mpbn+ternary`. Raise SpikeError on a clash.

    A combination makes every change that one of its papers makes to the plain LIF neuron or to training.
    """
    found: dict[tuple[str, str], tuple[Any, str]] = {}  # (what, its name): its value, whose it is
    for one in (names := name.split("+")):
        if one not in PAPERS:
            raise ChoiceError(
                "paper", f"cannot be {one!r}: {choices.advice(one, PAPERS)}, or several as in mpbn+ternary"
            )
        paper = PAPERS[one]
        if len(names) == 1:
            return paper
        if paper.neuron is None:
            raise SpikeError(f"found {name}: {one} has no neurons that another paper could change; take it alone")
        for key, value in _changes(paper):
            if found.setdefault(key, (value, one))[0] != value:
                raise SpikeError(
                    f"found {name}: {found[key][1]} and {one} want another {key[1]}; leave one of them out"
                )
    chosen: dict[str, dict[str, Any]] = {"neuron": {}, "training": {}, "model": {}}
    for (what, field), (value, _) in found.items():
        chosen[what][field] = value
    return Paper(neuron=NeuronConfig(**chosen["neuron"]), training=chosen["training"], model=chosen["model"])


def names_surrogate(paper: str) -> bool:
    """Return whether a paper names its surrogate; if none does, the network's default applies."""
    neurons = (paper_of(one).neuron for one in paper.split("+"))
    return any(neuron is None or {"surrogate", "slope"} & neuron.model_fields_set for neuron in neurons)


def _changes(paper: Paper) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield ((neuron, training or model; field), value) for every field that a paper changes."""
    assert paper.neuron is not None
    yield from ((("neuron", name), value) for name, value in paper.neuron.model_dump(exclude_defaults=True).items())
    yield from ((("training", name), value) for name, value in paper.training.items())
    yield from ((("model", name), value) for name, value in paper.model.items())


def neuron_of(paper: str, **changes: Any) -> NeuronConfig | None:
    """Return a paper's neuron with the given parts changed; raise SpikeError if the name or a value is unknown."""
    neuron = paper_of(paper).neuron
    changes = {name: value for name, value in changes.items() if value is not None}
    if neuron is None:
        if changes:
            part = next(iter(changes))
            raise SettingError(part, "has no meaning for the ANN, whose neurons are ReLUs; remove it")
        return None
    return validated(NeuronConfig, {**neuron.model_dump(), **changes})
