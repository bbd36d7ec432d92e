"""The settings of each network: a class a network, looked up by its name; others may be added from outside."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, field_validator

from spikecli.errors import ChoiceError, SettingError, SpikeError
from spikecli.settings import choices
from spikecli.settings.base import Positive, Settings, problem
from spikecli.settings.neuron import NeuronConfig

TNet = Literal["pooled", "paper", "none"]
BatchNorm = Literal["plain", "tdbn", "step", "tebn", "bntt"]
Residual = Literal["plain", "sew", "ms"]
Exits = Literal["linear", "bottleneck"]
ExitBias = Literal["own", "common"]
Layout = Literal["released", "first"]
Pixels = Literal["half", "cifar10", "cifar100"]
Share = Annotated[float, Field(ge=0, lt=1)]
Side = Annotated[int, Field(ge=1)]


class ModelConfig(Settings):
    """Settings that every network has. With `neuron` None each neuron is a ReLU: the ANN baseline."""

    takes: ClassVar[tuple[str, ...]] = ("points",)  # kinds of data
    surrogate: ClassVar[str | None] = None  # of its neurons, where neither paper nor user names one
    before: ClassVar[dict[str, Any]] = {}  # fields that came later, with what a file without them meant

    name: Annotated[str, choices.Choice("model")] = Field(description="Network.")
    classes: Annotated[int, Field(ge=2)] = Field(10, description="Classes; the data set decides.")
    neuron: NeuronConfig | None = Field(NeuronConfig(), description="The neuron; none for the ANN.")
    folded: bool = Field(False, description="Made by `reparameterize`: the weights of the plain network it equals.")

    @field_validator("name")
    @classmethod
    def _is_of_this_class(cls, name: str) -> str:
        if NETWORKS[name] is not cls:
            raise ValueError(f"it has settings of its own, {NETWORKS[name].__name__}, not {cls.__name__}")
        return name

    @property
    def is_joint(self) -> bool:
        """True if an ANN is trained beside the network and shares factors of its weights."""
        return False

    def alone(self) -> Self:
        """Return the settings of the network that is evaluated: without one beside it."""
        return self

    def as_ann(self) -> Self:
        """Return the settings of the same network with ReLUs in place of neurons."""
        return self.model_copy(update={"neuron": None})


class JointConfig(ModelConfig):
    """A network that can be trained with an ANN beside it (2305.02099)."""

    joint: bool = Field(False, description="In training, an ANN beside it, with factors of their weights in common.")
    exits: Exits = Field(
        "linear", description="Exits of joint: linear, or bottleneck (1×1, k×k, 1×1 with neurons, as released)."
    )
    exit_bias: ExitBias = Field("own", description="Joint: each network's classifiers have own biases, or common ones.")

    @property
    def is_joint(self) -> bool:
        """True if an ANN is trained beside the network and shares factors of its weights."""
        return self.joint

    def alone(self) -> Self:
        """Return the settings of the network that is evaluated: without one beside it."""
        return self.model_copy(update={"joint": False})


Coordinates = Literal[3, 6]
_COORDINATES = "Numbers of a point: 3, or 6 with its normal; the data set decides."


class PointNetConfig(JointConfig):
    """PointNet (1612.00593), as Spiking PointNet has it."""

    name: Annotated[str, choices.Choice("model")] = Field("pointnet", description="Network.")
    exits: Literal["linear"] = Field("linear", description="Exits of joint: linear; there is one, at the end.")
    tnet: TNet = Field("none", description="T-Nets: pooled (maximum, then firing), paper (firing first) or none.")
    dropout: Share = Field(0.4, description="Share of a layer of the head that is dropped in training.")
    inputs: Coordinates = Field(3, description=_COORDINATES)


class DelaConfig(ModelConfig):
    """DeLA, decoupled local aggregation (2308.16532), with spikes."""

    name: Annotated[str, choices.Choice("model")] = Field("dela", description="Network.")
    width: Positive = Field(1.0, description="Factor on the channels.")
    neighbors: Annotated[int, Field(ge=1)] = Field(20, description="Nearest points that a point hears.")
    drop_path: Share = Field(0.15, description="Share of samples that skip the last layer in training; 0 at first.")
    dropout: Share = Field(0.5, description="Share of a layer of the head that is dropped in training.")
    inputs: Coordinates = Field(3, description=_COORDINATES)


class MapConfig(JointConfig):
    """A convolutional network for images and event frames."""

    takes: ClassVar[tuple[str, ...]] = ("events", "images")
    surrogate: ClassVar[str | None] = "rectangle"  # tanh, k = 5, learns worse in ResNets and VGG (docs/networks.md)

    width: Positive = Field(1.0, description="Factor on the channels.")
    batch_norm: BatchNorm = Field(
        "plain",
        description="plain; tdbn: its scale begins at the threshold; step: statistics of each time step by itself; "
        "tebn: a trained factor for each step; bntt: statistics and scale of each step.",
    )
    pixels: Pixels = Field(
        "half",
        description="Pixels of an image: half, (value/255 − ½)/¼; or less the mean and by the deviation of cifar10 or "
        "cifar100, as released.",
    )
    inputs: Annotated[int, Field(ge=1)] = Field(3, description="Channels of a map; the data set decides.")
    size: tuple[Side, Side] = Field((32, 32), description="Height and width of a map; the data set decides.")
    steps: Annotated[int, Field(ge=1)] = Field(
        1, description="Time steps that tebn and bntt tell apart; T in training."
    )

    @property
    def tells_steps(self) -> bool:
        """True if the batch norms have parameters of their own for each time step."""
        return self.batch_norm in ("tebn", "bntt")

    def as_ann(self) -> Self:
        """Return the settings of the same network with ReLUs in place of neurons."""
        return self.model_copy(update={"neuron": None, "batch_norm": "plain"})


class ResNetConfig(MapConfig):
    """ResNet-18, -19, -20 or -34."""

    before: ClassVar[dict[str, Any]] = {"layout": "first"}

    name: Annotated[str, choices.Choice("model")] = Field("resnet20", description="Network.")
    layout: Layout = Field(
        "released", description="Pools and shortcuts: released, as the authors' code has them; first, our own of 0.1."
    )
    residual: Residual = Field(
        "plain", description="Blocks: plain, neurons after the sum; sew, spikes are added; ms, membranes are added."
    )


class VggConfig(MapConfig):
    """VGG-16."""

    name: Annotated[str, choices.Choice("model")] = Field("vgg16", description="Network.")


NETWORKS: dict[str, type[ModelConfig]] = {
    "pointnet": PointNetConfig,
    "dela": DelaConfig,
    "resnet18": ResNetConfig,
    "resnet19": ResNetConfig,
    "resnet20": ResNetConfig,
    "resnet34": ResNetConfig,
    "vgg16": VggConfig,
}
BY_DATA = ("classes", "inputs", "size", "steps")  # the data set decides them, or the time steps in training
FIRST = "pointnet"
# What the flat settings of earlier versions held for every network, with the defaults of then.
_FLAT: dict[str, Any] = {
    "tnet": "none", "dropout": 0.4, "width": 1.0, "batch_norm": "plain", "inputs": 3, "size": [32, 32], "joint": False,
}  # fmt: skip


def add(name: str, kind: type[ModelConfig], help: str = "") -> None:
    """Add a network's name and the class of its settings."""
    choices.add("model", name, help)
    NETWORKS[name] = kind


def settings_class(name: str) -> type[ModelConfig]:
    """Return the class of a network's settings; raise SpikeError if there is no such network."""
    if name not in NETWORKS:
        raise ChoiceError("model", f"cannot be {name!r}: {choices.advice(name, NETWORKS)}")
    return NETWORKS[name]


def with_field(field: str) -> list[str]:
    """Return the names of the networks whose settings have a field."""
    return [name for name, kind in NETWORKS.items() if field in kind.model_fields]


def network_settings(name: str = FIRST, **fields: Any) -> ModelConfig:
    """Return the settings of the named network; raise SpikeError naming a field that it does not have."""
    kind = settings_class(name)
    for field in fields:
        if field not in kind.model_fields:
            raise SettingError(field, _meaningless(field, name))
    try:
        return kind.model_validate({"name": name, **fields})
    except ValidationError as error:
        raise problem(error) from error


def _meaningless(field: str, name: str) -> str:
    having = with_field(field)
    to = f"it is for {', '.join(having)}" if having else "no network has it"
    return f"means nothing to {name}: {to}; remove it"


def network_of_file(value: Any) -> Any:
    """Return a network's settings from a file of this version or an earlier one.

    Earlier versions saved every field for every network; unused fields are dropped if they hold their old default.
    Fields added since then take the value that their class gives in `before`.
    """
    if not isinstance(value, dict):
        return value
    name = value.get("name", FIRST)
    kind = NETWORKS.get(name, ModelConfig)  # which refuses a name that is not known
    foreign = {key for key in value if key in _FLAT and key not in kind.model_fields}
    kept = {key: one for key, one in value.items() if key not in foreign or _plain(one) != _FLAT[key]}
    return kind.model_validate({"name": name, **kind.before, **kept})


def point_inputs(model: ModelConfig) -> int:
    """Return how many numbers of a point a network of clouds reads: 3, or 6 with its normal."""
    return int(getattr(model, "inputs", 3))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def map_size(model: ModelConfig) -> tuple[int, int]:
    """Return height and width of the maps that a network was built for; raise SpikeError if it takes no maps."""
    if not isinstance(model, MapConfig):
        raise SpikeError(f"{model.name} takes {' and '.join(model.takes)}, not images or event frames; name another")
    return model.size
