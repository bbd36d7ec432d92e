"""The settings of a training run: frozen, validated once, saved with the run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from spikecli.settings.base import Positive, Settings, validated
from spikecli.settings.networks import ModelConfig, PointNetConfig, network_of_file, network_settings
from spikecli.settings.neuron import NeuronConfig

__all__ = ["ModelConfig", "NeuronConfig", "Settings", "TrainConfig", "network_settings", "validated"]

Augment = Literal[
    "paper", "thin", "mirror", "stretch", "robust",
    "roll", "flip-roll", "shift", "flip-shift",
    "cifar", "crop", "flip-crop",
    "none",
]  # fmt: skip
Slicing = Literal["count", "time"]
Resize = Literal["bilinear", "nearest"]
Optimizer = Literal["adam", "adamw", "sgd"]
Decayed = Literal["all", "weights"]
Schedule = Literal["step", "onecycle", "cosine", "warmup"]
Precision = Literal["auto", "fp32", "bf16", "fp64"]  # auto: what the device multiplies fastest, bf16 or fp32
RmpPower = Literal[1, 2]
RmpSchedule = Literal["triangle", "constant"]
StepLoss = Literal["each", "mean"]
Freeze = Literal["none", "features", "all-but-last"]
Whole = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainConfig(Settings):
    """Settings of training; every field is saved with the run and must agree when the run is resumed."""

    dataset: str = Field("shapes", description="A prepared data set.")
    paper: str = Field("spiking-pointnet", description="The paper that neuron and training follow.")
    model: Annotated[SerializeAsAny[ModelConfig], BeforeValidator(network_of_file)] = Field(
        PointNetConfig(), description="The network."
    )
    timesteps: Whole = Field(1, description="Time steps in training.")
    epochs: Whole = Field(30, description="Epochs.")
    batch_size: Annotated[int, Field(ge=2)] = Field(24, description="Samples a step, over all processes.")
    lr: Positive = Field(2e-3, description="Highest learning rate.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-4, description="Weight decay.")
    decayed: Decayed = Field("all", description="What it acts on: all, or weights (no norm, bias or neuron).")
    optimizer: Optimizer = Field("adam", description="Optimizer.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="Momentum of optimizer sgd.")
    schedule: Schedule = Field(
        "onecycle",
        description="Learning rate: onecycle, cosine, warmup (a tenth, then cosine) or step (×0.7 every 20).",
    )
    augment: Augment = Field(
        "thin",
        description="Points: paper (dropped ones are overwritten), thin (they are left out), mirror (paper's, "
        "reflected and stretched; z upright), stretch (shuffled, each axis by U(2/3, 3/2)), "
        "robust (turned about z, cut and noisy half the time, then stretched). Events: roll (moved by up to 5 pixels, "
        "around the edges, as released), shift (by up to 5/48 of the sides, empty where it left), flip-roll, "
        "flip-shift. "
        "Images: crop (moved by up to 1/8), flip-crop, cifar (flip-crop, AutoAugment, a hole). All: none.",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Label smoothing, 0…1.")
    orthogonality: Annotated[float, Field(ge=0)] = Field(1e-3, description="Weight of the T-Nets' orthogonality.")
    rmp_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="RMP-Loss: weight k of the membranes' distance to their spikes; 0 is off."
    )
    rmp_power: RmpPower = Field(2, description="RMP-Loss: 1 or 2, the power of the distance.")
    rmp_schedule: RmpSchedule = Field(
        "triangle", description="RMP-Loss: triangle (up to k at half the epochs, down to 0) or constant."
    )
    step_loss: StepLoss = Field(
        "each", description="Cross-entropy: each, the mean of every step's; mean, that of the mean logits, as released."
    )
    tet_weight: Share = Field(
        0.0, description="TET: share λ of the loss that is the logits' squared distance to 1, at each step; 0 is off."
    )
    im_weight: Weight = Field(
        0.0, description="IM-Loss: weight of the squared distance of a layer's mean membrane to its threshold."
    )
    activity_weight: Weight = Field(0.0, description="Activity loss: weight of half the mean squared spike of a layer.")
    teacher: str | None = Field(
        None, description="Distillation: a run, such as an ANN's, whose softened answers are learned too."
    )
    teacher_weight: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="Distillation: the teacher's share of the loss; the labels have the rest."
    )
    teacher_temperature: Positive = Field(4.0, description="Distillation: divides both logits before the softmax.")
    points: Annotated[int, Field(ge=8)] = Field(1024, description="Points a cloud.")
    resample: bool = Field(
        False, description="Draw each cloud's points again in each epoch, from all that are prepared."
    )
    slicing: Slicing = Field(
        "count", description="Events a frame: as many in each (count), or those of as long a time (time)."
    )
    size: Annotated[int, Field(ge=8)] | None = Field(
        None, description="Side of an event frame in pixels; the data set's own unless given."
    )
    resize: Resize = Field(
        "bilinear", description="How an event frame is brought to its size: bilinear, or nearest, as released."
    )
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Part of each class of the training split that is held out."
    )
    balance: bool = Field(False, description="Batches with as many samples of each class; small classes repeat.")
    start_from: str | None = Field(
        None, description="Weights to start from: reference, reference-modelnet40, or a run; its network, a new head."
    )
    freeze: Freeze = Field(
        "none", description="With --from, layers that do not learn: none, features (all before the head), all-but-last."
    )
    reestimate: bool = Field(True, description="Batch statistics from clean training clouds, once, at the end.")
    precision: Precision = Field(
        "fp32", description="auto (bf16 where it is faster), fp32, bf16 (products alone) or fp64."
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of every random draw.")
