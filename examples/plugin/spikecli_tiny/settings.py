"""Settings of the network and the preset. spikecli imports this at its start: no torch here."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from spikecli.settings.choices import Choice
from spikecli.settings.networks import ModelConfig
from spikecli.settings.neuron import NeuronConfig
from spikecli.settings.papers import Paper


class TinyConfig(ModelConfig):
    """Two layers for each point, the maximum over the points, and one layer of a head."""

    network: ClassVar[str] = "spikecli_tiny.network:build"  # (TinyConfig) -> module
    takes: ClassVar[tuple[str, ...]] = ("points",)

    name: Annotated[str, Choice("model")] = Field("tiny", description="Network.")
    hidden: Annotated[int, Field(ge=1)] = Field(32, description="Channels of the hidden layers.")


THREE_LEVEL = Paper(neuron=NeuronConfig(fire="three-level", surrogate="rectangle"))
