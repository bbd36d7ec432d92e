"""A released state dict as tensors of one of our networks; whatever does not fit is listed by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikecli.errors import SpikeError
from spikecli.weights.released_names import Names, ReleasedLayer, plain_name

_NORM = ("weight", "bias", "running_mean", "running_var")
# Tensors that a release keeps and does not read in evaluation of its spiking network.
_UNREAD = re.compile(r"(num_batches_tracked|\.(sigma_ann|weight_ann)|\.bn_ann\..*|^(bottleneck|middle_fc)\d.*)$")
_WITHIN = 0.5  # θ, the other factor of tdBN (2307.04356)
_LISTED = 4


@dataclass
class Released:
    """A released state dict by plain name; `used` collects the names that were taken."""

    tensors: dict[str, Tensor]
    wrapped: bool  # its convolutions stand in the spiking wrapper
    bare: frozenset[str]  # norms that do not: tdBN is a layer of the spiking network itself
    joint: bool  # factors of Joint A-SNN
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)

    def take(self, name: str) -> Tensor | None:
        """Return a tensor and mark it as used; note it as missing if it is not there."""
        if name not in self.tensors:
            self.missing.append(name)
            return None
        self.used.add(name)
        return self.tensors[name]

    @property
    def unknown(self) -> list[str]:
        """The names that nothing took, but for those that the release itself does not read."""
        return sorted(set(self.tensors) - self.used)


def released(found: Mapping[str, Tensor]) -> Released:
    """Return a state dict by plain name, with the weights of Joint A-SNN multiplied out.

    Raise SpikeError if two of its names are one without their wrappers.
    """
    kept = {name: value for name, value in found.items() if not _UNREAD.search(plain_name(name))}
    values: dict[str, Tensor] = {}
    for name, value in kept.items():
        if (plain := plain_name(name)) in values:
            raise SpikeError(f"found {plain} twice, once as {name}; give the state dict of a single network")
        values[plain] = value
    wrapped = any(name.endswith(".pool.weight") for name in kept)
    norms = {name.rpartition(".")[0]: plain_name(name).rpartition(".")[0] for name in kept if "running_mean" in name}
    bare = frozenset(plain for name, plain in norms.items() if name.endswith(plain))
    joint = any(name.endswith(".sigma_snn") for name in values)
    return Released(_materialized(values) if joint else values, wrapped, bare, joint)


def _materialized(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the spiking network's own weights: W = U·diag(σ_snn)·V at each kernel position (2305.02099)."""
    own: dict[str, Tensor] = {}
    factors = {name.rpartition(".")[0] for name in values if name.endswith(".sigma_snn")}
    for name in factors:
        product = values[f"{name}.U"] @ torch.diag_embed(values[f"{name}.sigma_snn"]) @ values[f"{name}.V"]
        own[f"{name}.weight"] = product.permute(2, 3, 0, 1)
    for name, value in values.items():
        layer, _, last = name.rpartition(".")
        if layer not in factors:
            plain = f"{layer}.weight" if last == "weight_snn" else name.replace(".bn_snn.", ".")
            own[plain] = value
    return own


def as_ours(source: Released, names: Names, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors for every name of `wanted`, a network's state dict, in float32; raise SpikeError as `check` does.

    `source` notes what it has used and what was missing.
    """
    ours: dict[str, Tensor] = {}
    for layer in names.layers:
        ours |= _layer(source, layer)
    for mine, theirs in names.neurons:
        ours |= _neuron(source, mine, theirs, wanted)
    if (scale := source.tensors.get("scale")) is not None:  # of the features, off unless it was trained
        source.used.add("scale")
        head = f"{names.head.ours}.weight"
        if head in ours and (scale != 1).any():
            ours[head] = ours[head] * scale.flatten()[: ours[head].shape[1]]
    shapes = {name: ours[name].numel() == value.numel() for name, value in wanted.items() if name in ours}
    for name in [name for name, fits in shapes.items() if not fits]:
        source.missing.append(f"{name} of shape {tuple(wanted[name].shape)}, found {tuple(ours.pop(name).shape)}")
    counters = {
        name: torch.zeros(one.shape, dtype=one.dtype)
        for name, one in wanted.items()
        if name.endswith("num_batches_tracked")
    }
    return {**counters, **{name: ours[name].reshape(wanted[name].shape).float() for name in ours if name in wanted}}


def _layer(source: Released, layer: ReleasedLayer) -> dict[str, Tensor]:
    """Return a layer's weight and norm. A bias before a norm moves into its mean: (y + b − μ)/σ = (y − (μ − b))/σ."""
    found = {}
    if (weight := source.take(f"{layer.theirs}.weight")) is not None:
        found[f"{layer.ours}.weight"] = weight
    if layer.norm is None:
        if (bias := source.take(f"{layer.theirs}.bias")) is not None:
            found[f"{layer.ours}.bias"] = bias
        return found
    norm, place = _norm(source, layer), f"{layer.ours}.norm"
    found |= {f"{place}.{name}": value for name, value in norm.items()}
    if f"{layer.theirs}.bias" in source.tensors and "running_mean" in norm:
        bias = source.take(f"{layer.theirs}.bias")
        assert bias is not None
        found[f"{place}.running_mean"] = norm["running_mean"].double() - bias.double()
    if source.wrapped and layer.norm in source.bare and "weight" in norm:  # tdBN's factor α·θ is beside its scale
        found[f"{place}.weight"] = norm["weight"].double() * layer.alpha * _WITHIN
    return found


def _norm(source: Released, layer: ReleasedLayer) -> dict[str, Tensor]:
    """Return the tensors of a norm; of Spiking PointNet's two, those of the one that is in use."""
    place = str(layer.norm)
    if layer.twin is not None and f"{place}.{layer.twin}.weight" in source.tensors:
        source.used |= {name for name in source.tensors if re.match(rf"{re.escape(place)}\.bn[12]\.", name)}
        place = f"{place}.{layer.twin}"
    taken = {name: source.take(f"{place}.{name}") for name in _NORM}
    return {name: value for name, value in taken.items() if value is not None}


def _neuron(source: Released, mine: str, theirs: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the membrane norm of a neuron, and its amplitude, where our network has them."""
    found = {}
    for name in _NORM:
        if f"{mine}.norm.norm.{name}" in wanted and (value := source.take(f"{theirs}.{name}")) is not None:
            found[f"{mine}.norm.norm.{name}"] = value
    if f"{mine}.amplitude.value" in wanted and (value := source.take(f"{theirs}.fire_ratio")) is not None:
        found[f"{mine}.amplitude.value"] = value
    return found


def check(source: Released, path: object, model: str, hint: Callable[[], str]) -> None:
    """Raise SpikeError, with both lists and what `hint` returns, if a state dict lacks names or has names too many."""
    parts = [
        f"{len(listed)} {word} ({', '.join(listed[:_LISTED])}{', …' if len(listed) > _LISTED else ''})"
        for word, listed in (("missing", source.missing), ("unknown", source.unknown))
        if listed
    ]
    if parts:
        raise SpikeError(f"{path} does not fit {model}: {' and '.join(parts)}; {hint()}")


def membrane(source: Released, names: Names) -> dict[str, str | None]:
    """Return what the file says of its neurons: the paper that its parts are of, and the form of its amplitude."""
    amplitude = next((source.tensors[f"{their}.fire_ratio"] for _, their in names.neurons
                      if f"{their}.fire_ratio" in source.tensors), None)  # fmt: skip
    form = None if amplitude is None else "scalar" if amplitude.numel() == 1 else "channel"
    if source.joint:
        return {"paper": "joint", "amplitude": form}
    if any(f"{their}.running_var" in source.tensors for _, their in names.neurons):
        return {"paper": "mpbn", "amplitude": form}
    if amplitude is not None:
        return {"paper": "ternary-trainable", "amplitude": form}
    if source.wrapped and any(layer.norm in source.bare for layer in names.layers if layer.norm):
        return {"paper": "soft-reset-mpr", "amplitude": form}
    return {"paper": None if names.neurons else "spiking-pointnet", "amplitude": form}


def without_ends(source: Released, names: Names) -> str:
    """Return which end of the network a file has no weights for, and names that it has instead."""
    ends = {names.layers[0].theirs: "first layer", names.head.theirs: "last layer"}
    missing = [f"{name}.weight, its {end}" for name, end in ends.items() if f"{name}.weight" not in source.tensors]
    listed = [f"{name} {tuple(source.tensors[name].shape)}" for name in sorted(source.tensors)]
    more = ", …" * (len(listed) > _LISTED)
    have = f"found {', '.join(listed[:_LISTED])}{more}"
    return f": missing {' and '.join(missing)}; {have}" if missing else f": {have}"


def shape_of(source: Released, names: Names) -> tuple[int, int] | None:
    """Return the classes and the input channels that a file's tensors say; None if the network's ends are not there."""
    head, first = (source.tensors.get(f"{layer.theirs}.weight") for layer in (names.head, names.layers[0]))
    if head is None or first is None or head.dim() < 2 or first.dim() < 2:
        return None
    return len(head), first.shape[1]
