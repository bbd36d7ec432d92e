"""What a paper's authors released, beside our defaults: the shape of the table, look-ups, and reasons."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spikecli.settings.base import Settings

Fidelity = Literal["default", "released"]


class Apart(Settings):
    """Something released that no option follows: what it is, ours, theirs, and why."""

    what: str
    ours: str
    released: str
    why: str


class Release(Settings):
    """The released code of a paper: settings that follow it, by kind of data where they differ, and what stays apart.

    `dataset` is what `spikecli papers` compares our defaults on; `why` says why a default of ours is another.
    """

    title: str
    arxiv: str
    code: str | None = None  # repository on GitHub; None: no code is known
    dataset: str = "cifar10"
    model: dict[str, Any] = Field(default_factory=dict)
    neuron: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    on: dict[str, dict[str, Any]] = Field(default_factory=dict)  # kind of data: changes of `training`
    fewshot: dict[str, Any] = Field(default_factory=dict)  # options of `fewshot`
    why: dict[str, str] = Field(default_factory=dict)
    apart: tuple[Apart, ...] = ()

    def training_on(self, kind: str) -> dict[str, Any]:
        """Return the training settings for a kind of data: points, events or images."""
        return {**self.training, **self.on.get(kind, {})}

    def reason(self, setting: str) -> str:
        """Return why our default of a setting differs from the released one; empty if no reason stands."""
        return self.why.get(setting, WHY.get(setting, ""))


ONE_RECIPE = "one recipe for all pictures, that of MPBN's code (--recipe cifar)"
# Why our default of a setting is another than the released one, where the paper's own entry does not say.
WHY = {
    "batch_norm": "with scales of 1 these networks did not fit a batch in 40 steps, three seeds (docs/networks.md)",
    "model": "the least work of the released networks: 178 M multiply-adds",
    "exits": "fewer layers in training; not measured against the released ones",
    "exit_bias": "not measured against the released one",
    "epochs": ONE_RECIPE,
    "batch_size": ONE_RECIPE,
    "lr": ONE_RECIPE,
    "momentum": ONE_RECIPE,
    "weight_decay": ONE_RECIPE,
    "decayed": ONE_RECIPE,
    "step_loss": "each step's loss is TET's (2202.11946); not measured against the other here",
    "timesteps": "one step trains fastest; --timesteps sets it",
    "val_fraction": "a tenth is held out, on which settings may be chosen",
    "reestimate": "held-out clouds, three seeds: paired p = 0.10 at T = 1, 0.005 at T = 4 (docs/results.md)",
}
