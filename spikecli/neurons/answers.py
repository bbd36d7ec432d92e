"""Questions to the parts of a neuron and to layers: levels, thresholds, fold. No table lists the parts.

A part that cannot answer is refused by name when asked, so it is never counted wrong. `models.work` asks
a layer for its operations. What isinstance() asks for is a method, or an attribute of the class: Python 3.12 looks
without `__getattr__`, through which a module has its buffers, parameters and parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikecli.errors import SpikeError


@dataclass(frozen=True)
class Step:
    """The rise of a fire function to its next level: at u > `at`, or at u ≥ `at` if `inclusive`."""

    at: float
    inclusive: bool = False


@runtime_checkable
class Fires(Protocol):
    """A fire function with known values, a staircase from the lowest level to the highest.

    `levels` holds what it can emit, rising, 0 among them; `steps` one Step less, the rise between two neighbors.
    """

    levels: tuple[float, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the rises, in u, from each level to the next."""


@runtime_checkable
class Rises(Protocol):
    """A fire function of d·v, with a direction d = ±1 and thresholds by channel or neuron, as folding leaves it."""

    def potentials(self) -> Tensor:
        """Return the potential v = d·θ̃ of each rise to the next level, (levels − 1, ...)."""

    def thresholds(self) -> Tensor:
        """Return every reachable potential at which the output changes, (n,)."""


@runtime_checkable
class FoldsIntoFire(Protocol):
    """A norm of the membrane that can move into the thresholds of a fire function."""

    def into(self, fire: Any) -> nn.Module:
        """Return the fire function of v that equals `fire` after this norm; raise SpikeError if there is none."""


@runtime_checkable
class Foldable(Protocol):
    """A charge, a layer or a network that is not its own plain form."""

    def folded(self) -> nn.Module:
        """Return the plain part that equals this one in evaluation."""


@runtime_checkable
class Unfoldable(Protocol):
    """A layer that can take back what folding has made of it, so that it can be trained on."""

    def unfold(self, plain: Any) -> None:
        """Take the weights of the folded layer `plain`, which this one then equals in evaluation."""


@dataclass(frozen=True)
class GoesInto:
    """A part that folding removes: its name for people, and the place that takes over its effect."""

    part: str
    place: str


@runtime_checkable
class Leaves(Protocol):
    """A part that folding takes out of the network."""

    goes_into: GoesInto


@runtime_checkable
class PointNetwork(Protocol):
    """A network of point clouds (B, N, 3) that names the layers where its points can be observed."""

    def trunk(self) -> tuple[str, ...]:
        """Return the names of the layers of neurons that see one point each, spikes (B, N, C)."""

    def watch_winners(self, on_winners: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `on_winners` in each pass with the point (T, B, channels) that wins each channel of the last maximum."""


def levels_of(fire: nn.Module, name: str) -> tuple[float, ...]:
    """Return a fire function's levels, rising; raise SpikeError, with `name` and type, if it cannot say them."""
    levels = getattr(fire, "levels", None)
    if not isinstance(levels, tuple) or 0 not in levels or list(levels) != sorted(set(levels)):
        raise SpikeError(
            f"the fire function {called(fire, name)} does not say what it can emit, found levels {levels!r}; give its "
            "class `levels`, a rising tuple with 0 in it, such as levels = (0, 1, 2)"
        )
    return levels


def steps_of(fire: nn.Module, name: str = "") -> tuple[Step, ...]:
    """Return a fire function's steps from level to level; raise SpikeError if it cannot say them."""
    levels = levels_of(fire, name)
    steps = getattr(fire, "steps", None)
    if not isinstance(steps, tuple) or len(steps) != len(levels) - 1:
        raise SpikeError(
            f"the fire function {called(fire, name)} does not say its thresholds; give its class `steps`, a Step(at, "
            f"inclusive) for each rise between its levels {levels}"
        )
    return steps


def through(norm: nn.Module, fire: nn.Module, name: str = "") -> nn.Module:
    """Return the fire function that equals `norm` followed by `fire`, of the neuron called `name`.

    Raise SpikeError if the norm cannot be folded, or if the fire function does not say its thresholds.
    """
    if isinstance(norm, nn.Identity):
        return fire
    place = f"{name}." if name else ""
    if not isinstance(norm, FoldsIntoFire):
        raise SpikeError(
            f"the norm {called(norm, f'{place}norm')} cannot be folded into thresholds; give its class a method "
            "into(fire), or use the network as it was trained"
        )
    steps_of(fire, f"{place}fire")
    return norm.into(fire)


def folded(part: nn.Module) -> nn.Module:
    """Return the plain form of a part: the result of its `folded()`, or the part itself."""
    # What isinstance(part, Foldable) asks, which takes as long as a small layer, and every part of a network is asked.
    return cast(Foldable, part).folded() if hasattr(type(part), "folded") else part


def thresholds_of(fire: nn.Module, name: str = "") -> Sequence[float]:
    """Return the u at which the output changes, rising and unique; raise SpikeError if the fire function cannot say."""
    if isinstance(fire, Rises):
        return sorted(set(fire.thresholds().float().tolist()))
    return sorted({step.at for step in steps_of(fire, name)})


def called(part: nn.Module, name: str) -> str:
    """Return a part's name for errors: its place in the network, if it has one, and its type."""
    return f"{name} ({type(part).__name__})" if name else type(part).__name__


def point_network(model: nn.Module) -> PointNetwork:
    """Return the network as a PointNetwork; raise SpikeError, with its type, if it is none."""
    if not isinstance(model, PointNetwork):
        raise SpikeError(
            f"the network {type(model).__name__} does not say which of its neurons see single points; give a run of "
            "pointnet or dela, or give the network's class trunk() and watch_winners()"
        )
    return model
