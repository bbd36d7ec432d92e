"""Settings: frozen, validated once, saved with every run; and the papers as values of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikecli.errors import SpikeError

Start = Literal["zeros", "perturbed"]
Charge = Literal["leak", "learned-leak"]
Norm = Literal["none", "mpbn", "mpbn-element", "rectifier"]
Fire = Literal["binary", "ternary"]
Surrogate = Literal["rectangle", "tanh"]
Reset = Literal["hard", "soft"]
Amplitude = Literal["none", "scalar", "channel", "element"]
TNet = Literal["pooled", "paper", "none"]
BatchNorm = Literal["plain", "tdbn"]
ModelName = Literal["pointnet", "resnet18", "resnet19", "resnet20", "vgg16"]
Augment = Literal["paper", "thin", "mirror", "roll", "flip-roll", "cifar", "none"]
Slicing = Literal["count", "time"]
Optimizer = Literal["adam", "adamw", "sgd"]
Decayed = Literal["all", "weights"]
Schedule = Literal["step", "onecycle", "cosine"]
Precision = Literal["fp32", "bf16", "fp64"]
RmpPower = Literal[1, 2]
RmpSchedule = Literal["triangle", "constant"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: immutable, and a name it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=Settings)


class NeuronConfig(Settings):
    """One spiking neuron: a choice for each of its five slots and the amplitude of what it emits."""

    start: Start = "zeros"
    perturbation: Positive = 0.5  # v₀ ~ U(0, perturbation), for start "perturbed"
    charge: Charge = "leak"
    decay: Annotated[float, Field(gt=0, le=1)] = 0.25  # λ, a factor; the papers write τ
    norm: Norm = "none"
    fire: Fire = "binary"
    threshold: Positive = 0.5  # θ
    surrogate: Surrogate = "tanh"
    slope: Positive = 5.0  # of the tanh surrogate
    reset: Reset = "hard"
    reset_amount: Positive | None = None  # subtracted by the soft reset; θ unless given
    amplitude: Amplitude = "none"


class ModelConfig(Settings):
    """One network. `neuron` None puts a ReLU in every neuron's place: the ANN baseline."""

    name: ModelName = "pointnet"
    classes: Annotated[int, Field(ge=2)] = 10
    neuron: NeuronConfig | None = NeuronConfig()
    tnet: TNet = "none"  # by evidence: docs/results.md
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    width: Positive = 1.0  # a factor on the channels of ResNet and VGG, as are the next three for them alone
    batch_norm: BatchNorm = "plain"
    inputs: Annotated[int, Field(ge=1)] = 3  # channels; the data set decides, as it does on the size
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (32, 32)  # height, width
    joint: bool = False  # in training, an ANN beside the spiking network, with factors of their weights in common
    folded: bool = False  # by `reparameterize`: the weights are those of the plain network that this one equals


class TrainConfig(Settings):
    """How a network is trained; every field is saved with the run and must agree when it is resumed."""

    dataset: str = "shapes"
    paper: str = "spiking-pointnet"
    model: ModelConfig = ModelConfig()
    timesteps: Annotated[int, Field(ge=1)] = 1
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=2)] = 24
    lr: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    decayed: Decayed = "all"  # what the weight decay acts on; weights: of products alone, no norm, bias or neuron
    optimizer: Optimizer = "adam"
    schedule: Schedule = "onecycle"
    augment: Augment = "thin"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    orthogonality: Annotated[float, Field(ge=0)] = 1e-3
    rmp_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0  # k of membrane_loss; 0 is off
    rmp_power: RmpPower = 2
    rmp_schedule: RmpSchedule = "triangle"
    points: Annotated[int, Field(ge=8)] = 1024
    slicing: Slicing = "count"  # of events
    size: Annotated[int, Field(ge=8)] | None = None  # side of event frames; the data set's own unless given
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    reestimate: bool = True  # batch statistics on clean training clouds, once, after the last epoch
    precision: Precision = "fp32"
    seed: Annotated[int, Field(ge=0)] = 0


def validated(kind: type[T], values: dict[str, Any]) -> T:
    """Return the settings that `values` describe; SpikeError naming the first one that cannot be."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        name = "model" if name == "name" else name  # a network's name is what --model gives
        raise SpikeError(f"--{name} cannot be {first.get('input')!r}: {first['msg'].lower()}") from error
