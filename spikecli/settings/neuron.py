"""The settings of one spiking neuron."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spikecli.settings.base import Positive, Settings
from spikecli.settings.choices import Choice

Start = Annotated[str, Choice("start")]
Charge = Annotated[str, Choice("charge")]
Norm = Annotated[str, Choice("norm")]
Fire = Annotated[str, Choice("fire")]
Surrogate = Annotated[str, Choice("surrogate")]
Reset = Annotated[str, Choice("reset")]
Amplitude = Annotated[str, Choice("amplitude")]
PARTS = ("start", "charge", "norm", "fire", "surrogate", "reset", "amplitude")  # slots that a neuron fills


class NeuronConfig(Settings):
    """One spiking neuron: a choice for each of its five slots and the amplitude of what it emits."""

    start: Start = Field("zeros", description="Membrane potential before the first step.")
    perturbation: Positive = Field(0.5, description="v₀ ~ U(0, perturbation); of start position, v₀'s amplitude.")
    charge: Charge = Field("leak", description="How a step's input joins the membrane.")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(0.25, description="λ in v ← λ·v + x (the papers write τ).")
    norm: Norm = Field("none", description="Norm between membrane and threshold.")
    fire: Fire = Field("binary", description="Fire function.")
    threshold: Positive = Field(0.5, description="θ, the threshold.")
    highest: Annotated[int, Field(ge=1, le=15)] = Field(4, description="D, the largest spike of fire integer.")
    surrogate: Surrogate = Field("tanh", description="Stands for the derivative of the fire function in training.")
    slope: Positive = Field(5.0, description="Slope of surrogate tanh; of evolving, the steepest.")
    reset: Reset = Field("hard", description="What a spike does to the membrane.")
    reset_amount: Positive | None = Field(
        None, description="Subtracted by the soft reset; θ, also a trained one, unless given."
    )
    amplitude: Amplitude = Field("none", description="Trained size of what is emitted.")
