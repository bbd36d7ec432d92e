"""Joint A-SNN (2305.02099): an ANN and a spiking network that share the singular bases of their weights in training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from spikecli.models import exits as exit_layers
from spikecli.settings.networks import JointConfig, ModelConfig

Exits = list[tuple[Tensor, Tensor]]  # logits (T, B, K) and feature (T, B, F) of each exit, the network's end last
LAST = "out"  # the last layer of every network


class Bases(nn.Module):
    """U and V of one layer: at each of its kernel's P positions the weight is U·diag(σ)·V, with σ (P, rank) given."""

    def __init__(self, u: Tensor, v: Tensor, shape: torch.Size) -> None:
        super().__init__()
        self.u = nn.Parameter(u)  # (P, outputs, rank)
        self.v = nn.Parameter(v)  # (P, rank, inputs)
        self.shape = shape

    def forward(self, sigma: Tensor) -> Tensor:  # (P, rank) → (outputs, inputs, height, width); without a map (.., ..)
        with torch.autocast(sigma.device.type, enabled=False):
            return product(self.u, sigma, self.v, self.shape)


def product(u: Tensor, sigma: Tensor, v: Tensor, shape: torch.Size) -> Tensor:
    """Return U·diag(σ)·V of each position as a kernel of this shape."""
    return ((u * sigma.unsqueeze(-2)) @ v).permute(1, 2, 0).reshape(shape)


def decomposed(kernel: Tensor) -> tuple[Bases, Tensor]:
    """Return the bases and singular values (P, rank) of a kernel (outputs, inputs, ...), each position by itself.

    Its axes are permuted: reshaping it, as the released code does, would mix positions with channels.
    """
    matrices = kernel.detach().flatten(2).movedim(2, 0) if kernel.dim() > 2 else kernel.detach().unsqueeze(0)
    u, sigma, v = torch.linalg.svd(matrices, full_matrices=False)
    # LAPACK's matrices lie column by column, the optimizer's state of a resumed run row by row; and a fused optimizer
    # goes through the memory of both side by side.
    return Bases(u.contiguous(), v.contiguous(), kernel.shape), sigma


def shared_weights(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Return by name the weights made from shared bases: those of all layers but the plain linear ones."""
    return [
        (f"{name}.weight", module.weight)
        for name, module in network.named_modules()
        if not isinstance(module, nn.Linear)
        and isinstance(getattr(module, "weight", None), nn.Parameter)
        and module.weight.dim() > 1
    ]


def exit_weights(exits: nn.ModuleList) -> list[tuple[int, str, Tensor]]:
    """Return (exit, name, weight) of the exits' weights that are made from shared bases."""
    return [
        (number, name, weight)
        for number, leave in enumerate(exits)
        if getattr(leave, "shares_bases", False)
        for name, weight in shared_weights(leave)
    ]


def _layer(network: nn.Module, weight: str) -> nn.Module:
    return network.get_submodule(weight.rpartition(".")[0])


class Branch(nn.Module):
    """One of the two networks: its singular values, its exits, and the weights that are not shared.

    `stages` names the outputs that `exits` read, one each.
    """

    def __init__(self, network: nn.Module, stages: list[str], exits: nn.ModuleList, sigma: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.sigma = nn.ParameterList(nn.Parameter(each.clone()) for each in sigma)
        self.stages = stages
        self.exits = exits
        self.names = [name for name, _ in shared_weights(network)]
        self.exit_names = [(number, name) for number, name, _ in exit_weights(exits)]
        for name in self.names:
            _layer(network, name).register_parameter("weight", None)
        for number, name in self.exit_names:
            _layer(exits[number], name).register_parameter("weight", None)

    def classifiers(self) -> list[nn.Linear]:
        """Return the classifiers of the exits and, last, of the network's end."""
        found = [*(leave.get_submodule(LAST) for leave in self.exits), self.network.get_submodule(LAST)]
        return [layer for layer in found if isinstance(layer, nn.Linear)]

    def drop_biases(self) -> None:
        """Leave out the biases of all classifiers, which are then given to each pass."""
        for classifier in self.classifiers():
            classifier.register_parameter("bias", None)

    def weights(self, bases: nn.ModuleList, biases: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """Return the weights made from this branch's singular values, and a common bias of its end, by their names."""
        pairs = zip(self.names, bases, self.sigma, strict=False)  # those of the exits come after the network's
        made = {name: base(sigma) for name, base, sigma in pairs}
        return {**made, f"{LAST}.bias": biases[-1]} if len(biases) else made

    def answer(self, x: Tensor, timesteps: int, bases: nn.ModuleList, biases: Sequence[Tensor] = ()) -> Tensor:
        """Return the network's logits (T, B, K)."""
        return functional_call(self.network, self.weights(bases, biases), (x, timesteps))

    def forward(self, x: Tensor, timesteps: int, bases: nn.ModuleList, biases: Sequence[Tensor] = ()) -> Exits:
        with self._kept() as maps:
            logits = self.answer(x, timesteps, bases, biases)
        given: list[dict[str, Tensor]] = [{f"{LAST}.bias": bias} for bias in biases[:-1]] or [{} for _ in self.exits]
        for place, (number, name) in enumerate(self.exit_names, len(self.names)):
            given[number][name] = bases[place](self.sigma[place])
        found = [
            functional_call(leave, one, (maps[stage],))
            for stage, leave, one in zip(self.stages, self.exits, given, strict=True)
        ]
        return [*found, (logits, maps[LAST])]

    @contextmanager
    def _kept(self) -> Iterator[dict[str, Tensor]]:
        """Yield a dict that holds, after a pass, each stage's output and the last layer's input."""
        kept: dict[str, Tensor] = {}
        handles = [
            self.network.get_submodule(stage).register_forward_hook(
                lambda module, inputs, output, stage=stage: kept.__setitem__(stage, output)
            )
            for stage in self.stages
        ]
        last = self.network.get_submodule(LAST)
        handles.append(last.register_forward_pre_hook(lambda module, inputs: kept.__setitem__(LAST, inputs[0])))
        try:
            yield kept
        finally:
            for handle in handles:
                handle.remove()


class Joint(nn.Module):
    """Logits (T, B, K) of the spiking network, with which in training an ANN runs beside; both read the same bases.

    `make` builds a network without weights in common. Both begin with the same weights.
    """

    def __init__(self, make: Callable[[ModelConfig], nn.Module], config: ModelConfig) -> None:
        super().__init__()
        snn = make(config)
        ann = make(config.as_ann())
        ann.register_forward_pre_hook(_at_once)
        last = snn.get_submodule(LAST)
        assert isinstance(last, nn.Linear)
        stages, leaves = exit_layers.build(config, snn, last.in_features)
        _, others = exit_layers.build(config.as_ann(), ann, last.in_features)
        pairs = [decomposed(weight) for _, weight in shared_weights(snn)]
        pairs += [decomposed(weight) for _, _, weight in exit_weights(leaves)]
        self.bases = nn.ModuleList(bases for bases, _ in pairs)
        sigma = [values for _, values in pairs]
        self.snn = Branch(snn, stages, leaves, sigma)
        self.ann = Branch(ann, stages, others, sigma)
        self.biases = nn.ParameterList()  # of the classifiers, the end's last; empty where each network has its own
        if isinstance(config, JointConfig) and config.exit_bias == "common":
            self.biases.extend(classifier.bias for classifier in self.snn.classifiers())
            self.snn.drop_biases()
            self.ann.drop_biases()

    def forward(self, x: Tensor, timesteps: int = 1) -> Tensor:
        """Return the spiking network's logits of each step; training reads the exits of both branches by hooks."""
        if not self.training:
            return self.snn.answer(x, timesteps, self.bases, tuple(self.biases))
        self.ann(x, 1, self.bases, tuple(self.biases))
        return self.snn(x, timesteps, self.bases, tuple(self.biases))[-1][0]

    def wiring(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the wiring of the ordinary spiking network."""
        yield from getattr(self.snn.network, "wiring", tuple)()

    def folded(self) -> nn.Module:
        """Return the ordinary spiking network, whose norms and amplitudes can then be folded."""
        return self.materialized()

    @torch.no_grad()
    def materialized(self, branch: str = "snn") -> nn.Module:
        """Return one of the two as an ordinary network with W = U·diag(σ)·V in each layer."""
        part = getattr(self, branch)
        network = copy.deepcopy(part.network)
        for name, value in part.weights(self.bases, tuple(self.biases)).items():
            kept = nn.Parameter(value.clone(memory_format=torch.contiguous_format))
            _layer(network, name).register_parameter(name.rpartition(".")[2], kept)
        return network.train(self.training)


def _at_once(module: nn.Module, inputs: tuple[Tensor, int]) -> tuple[Tensor, int]:
    """Return the input of a network without time: the sum of a recording's frames, with all its events."""
    return (inputs[0].sum(0) if inputs[0].dim() == 5 else inputs[0]), 1


def ordinary(tensors: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the spiking `network` from those, by name, of a Joint with it as a branch."""
    prefix = "snn.network."
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    for number, (name, weight) in enumerate(shared_weights(network)):
        u, sigma, v = (tensors[key] for key in (f"bases.{number}.u", f"snn.sigma.{number}", f"bases.{number}.v"))
        found[name] = product(u, sigma, v, weight.shape)
    common = [name for name in tensors if name.startswith("biases.")]
    if common:
        found[f"{LAST}.bias"] = tensors[max(common, key=lambda name: int(name.rpartition(".")[2]))]
    return found
