"""Layers that training leaves as they are: weights, batch statistics, no dropout."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from spikecli.errors import SettingError

LAST = "out"  # the last layer of every network


def freeze(model: nn.Module, how: str) -> list[str]:
    """Freeze the parts of a network that `how` names (none, features or all-but-last); return their names.

    Raise SettingError if the network does not say what its head is.
    """
    if how == "none":
        return []
    learning = getattr(model, "head_layers", lambda: (LAST,))() if how == "features" else (LAST,)
    parts = dict(model.named_children())
    if any(name not in parts for name in learning):
        raise SettingError("freeze", f"cannot be {how}: the network has no layer {' or '.join(learning)}; take none")
    frozen = [name for name in parts if name not in learning]
    for name in frozen:
        parts[name].requires_grad_(False)
        parts[name].frozen = True  # type: ignore[assignment]
    return frozen


def begin_training(model: nn.Module) -> None:
    """Put the network in training mode, except its frozen parts, which compute as in evaluation."""
    model.train()
    for part in frozen_parts(model):
        part.eval()


def frozen_parts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts that `freeze` has frozen."""
    return (module for module in model.modules() if getattr(module, "frozen", False))
