"""Settings: frozen, validated once, saved with every run; and the papers as values of them."""

from __future__ import annotations

from collections.abc import Iterator
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


class Paper(Settings):
    """What `--paper` stands for: a neuron (None: ReLUs), and what else of training and network the method needs."""

    neuron: NeuronConfig | None
    arxiv: str | None = None  # number at https://arxiv.org/abs/
    training: dict[str, Any] = {}
    model: dict[str, Any] = {}


# A paper is a value.
PAPERS: dict[str, Paper] = {
    "lif": Paper(neuron=NeuronConfig()),
    "spiking-pointnet": Paper(neuron=NeuronConfig(start="perturbed"), arxiv="2310.06232"),
    "ternary": Paper(neuron=NeuronConfig(fire="ternary", surrogate="rectangle"), arxiv="2312.06372"),
    "ternary-trainable": Paper(
        neuron=NeuronConfig(fire="ternary", surrogate="rectangle", amplitude="scalar"), arxiv="2312.06372"
    ),
    "mpbn": Paper(neuron=NeuronConfig(norm="mpbn", slope=3.0), arxiv="2308.08359"),
    "rmp-loss": Paper(neuron=NeuronConfig(), arxiv="2308.06787", training={"rmp_weight": 0.1}),
    "soft-reset-mpr": Paper(
        neuron=NeuronConfig(norm="rectifier", decay=1.0, reset="soft", reset_amount=1.0), arxiv="2307.04356"
    ),
    "real-spike": Paper(neuron=NeuronConfig(amplitude="channel"), arxiv="2210.06686"),
    "joint": Paper(neuron=NeuronConfig(), arxiv="2305.02099", model={"joint": True}),
    "ann": Paper(neuron=None),
}

# What `--recipe` stands for. "paper" is Spiking PointNet's own (METHODS of 2310.06232); "short" is ours.
RECIPES: dict[str, dict[str, Any]] = {
    "short": {
        "epochs": 30, "batch_size": 24, "lr": 2e-3, "weight_decay": 1e-4, "schedule": "onecycle", "augment": "thin",
    },
    "paper": {
        "epochs": 200, "batch_size": 48, "lr": 1e-3, "weight_decay": 1e-4, "schedule": "step", "augment": "paper",
        "reestimate": False,
    },
    "events": {
        "epochs": 30, "batch_size": 32, "lr": 2e-3, "weight_decay": 1e-4, "schedule": "onecycle",
    },
    "cifar": {  # of 2308.08359 and its sisters
        "epochs": 400, "batch_size": 128, "lr": 0.1, "weight_decay": 1e-4, "decayed": "weights", "optimizer": "sgd",
        "schedule": "cosine", "augment": "cifar", "reestimate": False,
    },
}  # fmt: skip


def paper_of(name: str) -> Paper:
    """Return the paper of that name, or what several joined by + come to: `mpbn+ternary`; SpikeError on a clash.

    What a paper changes of the plain LIF neuron and of training, the combination changes too.
    """
    found: dict[tuple[str, str], tuple[Any, str]] = {}  # (what, its name): its value, whose it is
    for one in (names := name.split("+")):
        if one not in PAPERS:
            raise SpikeError(
                f"no paper is named {one!r}; choose one of {', '.join(PAPERS)}, or several as in mpbn+ternary"
            )
        paper = PAPERS[one]
        if len(names) == 1:
            return paper
        if paper.neuron is None:
            raise SpikeError(f"found {name}: {one} has no neurons that another paper could change; take it alone")
        for key, value in _changes(paper):
            if found.setdefault(key, (value, one))[0] != value:
                raise SpikeError(
                    f"found {name}: {found[key][1]} and {one} want another {key[1]}; leave one of them out"
                )
    chosen: dict[str, dict[str, Any]] = {"neuron": {}, "training": {}, "model": {}}
    for (what, field), (value, _) in found.items():
        chosen[what][field] = value
    return Paper(neuron=NeuronConfig(**chosen["neuron"]), training=chosen["training"], model=chosen["model"])


def _changes(paper: Paper) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield (neuron, training or model; the field's name) and value of all that a paper does not leave as it is."""
    assert paper.neuron is not None
    yield from ((("neuron", name), value) for name, value in paper.neuron.model_dump(exclude_defaults=True).items())
    yield from ((("training", name), value) for name, value in paper.training.items())
    yield from ((("model", name), value) for name, value in paper.model.items())


def neuron_of(paper: str, **changes: Any) -> NeuronConfig | None:
    """Return the neuron of a paper with the given parts changed; SpikeError when the name or a value is not known."""
    neuron = paper_of(paper).neuron
    changes = {name: value for name, value in changes.items() if value is not None}
    if neuron is None:
        if changes:
            part = next(iter(changes))
            raise SpikeError(f"--{part} has no meaning for the ANN, whose neurons are ReLUs; leave it out")
        return None
    return validated(NeuronConfig, {**neuron.model_dump(), **changes})


def validated(kind: type[T], values: dict[str, Any]) -> T:
    """Return the settings that `values` describe; SpikeError naming the first one that cannot be."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        name = "model" if name == "name" else name  # a network's name is what --model gives
        raise SpikeError(f"--{name} cannot be {first.get('input')!r}: {first['msg'].lower()}") from error


def train_settings(
    dataset: str, paper: str, recipe: str, training: dict[str, Any], parts: dict[str, Any], model: dict[str, Any]
) -> TrainConfig:
    """Return a run's settings: recipe < paper < those of `training` that are not None; SpikeError on a clash.

    `parts` change the paper's neuron, `model` holds fields of ModelConfig.
    """
    if recipe not in RECIPES:
        raise SpikeError(f"no recipe is named {recipe!r}; choose one of {', '.join(RECIPES)}")
    shape = {name: value for name, value in model.items() if value is not None}
    network = validated(ModelConfig, {**shape, **paper_of(paper).model, "neuron": neuron_of(paper, **parts)})
    changes = {name: value for name, value in training.items() if value is not None}
    preset = {**RECIPES[recipe], **paper_of(paper).training}
    settings = validated(TrainConfig, {**preset, **changes, "dataset": dataset, "paper": paper, "model": network})
    if network.neuron is None and settings.timesteps > 1:
        raise SpikeError(f"the ANN knows no time, found --timesteps {settings.timesteps}; train it with --timesteps 1")
    if network.neuron is None and settings.rmp_weight:
        raise SpikeError("--rmp-weight has no meaning for the ANN, which has no membranes; leave it out")
    return settings
