"""The parts of a release that against_released.py runs beside ours: neurons and networks, on the same inputs."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikecli import neurons
from spikecli.models.inputs import PIXELS
from spikecli.neurons.surrogate import Tanh
from spikecli.settings.papers import neuron_of
from spikecli.training.importing import import_released
from spikecli.weights.trained import Trained

STEPS, CLASSES, CHANNELS = 3, 10, 4


@dataclass(frozen=True)
class Row:
    """One comparison: the largest differences, relative to the largest value; None where nothing was compared."""

    release: str
    part: str
    preset: str
    outputs: float | None = None
    gradients: float | None = None
    note: str = ""


def draws(seed: int = 0) -> torch.Generator:
    """Return a generator of its own for each purpose."""
    return torch.Generator().manual_seed(seed)


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-300)).item()


def compared(release: str, part: str, preset: str, ours: Any, theirs: Any, x: Tensor) -> Row:
    """Return the row of two functions of x, both with gradients."""
    found = []
    for run in (ours, theirs):
        given = x.clone().requires_grad_()
        output = run(given)
        (output * torch.randn(output.shape, generator=draws(7), dtype=output.dtype)).sum().backward()
        assert given.grad is not None
        found.append((output.detach(), given.grad))
    (mine, slope), (other, steep) = found
    note = "" if other.std() > 0 else "outputs are constant: says nothing"
    return Row(release, part, preset, apart(mine, other), apart(slope, steep), note)


def shaken(network: nn.Module) -> nn.Module:
    """Return the network in evaluation and float64, its norms as after training: numbers that float32 holds."""
    generator = draws(1)

    def uniform(value: Tensor, low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(value.shape, generator=generator)).to(value)

    state = network.state_dict()
    norms = [name.removesuffix("running_mean") for name in state if name.endswith("running_mean")]
    for norm in norms:
        for name, bounds in (("running_mean", (-0.3, 0.3)), ("running_var", (0.5, 1.5)), ("weight", (0.7, 1.4))):
            state[norm + name] = uniform(state[norm + name], *bounds)
        state[norm + "bias"] = uniform(state[norm + "bias"], -0.1, 0.4)
    network.load_state_dict(state)
    return network.double().eval()


def imported(network: nn.Module, model: str, paper: str | None) -> nn.Module:
    """Return our network with the weights of a released one, in float64."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "released.pth"
        state = {name: one.float() if one.is_floating_point() else one for name, one in network.state_dict().items()}
        torch.save(state, file)
        import_released(file, model, Path(folder) / "run", paper)
        return Trained.open(Path(folder) / "run", "cpu").network.double()


def pictures() -> Tensor:
    """Return two images in −2 … 2."""
    return torch.rand(2, 3, 32, 32, generator=draws(2), dtype=torch.float64) * 4 - 2


def seen(x: Tensor) -> Tensor:
    """Return an image in −2 … 2 as the releases see CIFAR-10."""
    mean, deviation = (torch.tensor(each, dtype=torch.float64)[:, None, None] for each in PIXELS["cifar10"])
    return (x / 4 + 0.5 - mean) / deviation


def of_maps(release: str) -> Iterator[Row]:
    """Yield the rows of a release whose networks take images: its neuron, then each network that it has."""
    layer, models = importlib.import_module("models.spike_layer"), importlib.import_module("models")
    paper = preset_of(layer)
    yield neuron_row(release, layer, paper)
    for model, factory in (
        ("resnet20", "resnet20_cifar_modified"),
        ("resnet19", "resnet19_cifar"),
        ("vgg16", "vgg16_bn"),
    ):
        make = getattr(models, factory, None)
        if make is None:
            yield Row(release, model, paper, note=f"not run: it has no {factory}")
            continue
        torch.manual_seed(0)
        theirs = models.SpikeModel(make(num_classes=CLASSES), step=STEPS)
        theirs.set_spike_state(True)
        shaken(theirs)
        try:
            yield map_row(release, model, paper, theirs)
        except Exception as problem:  # noqa: BLE001 (of any release: the row says which)
            yield Row(release, model, paper, note=f"not run: {type(problem).__name__}: {problem}")


def map_row(release: str, model: str, paper: str, theirs: nn.Module) -> Row:
    """Return the row of a network of images: the mean logits of both."""
    ours = imported(theirs, model, paper)
    if paper == "lif":  # the preset names no surrogate; IM-Loss's release has a tanh
        slope = next(float(each.temp) for each in theirs.modules() if hasattr(each, "temp"))
        for neuron in neurons.layers(ours).values():
            neuron.fire.surrogate = Tanh(slope)  # type: ignore[assignment]

    def answers(x: Tensor) -> Tensor:
        found = theirs(seen(x))
        return found[0] if isinstance(found, tuple) else found  # IM-Loss returns its loss too

    return compared(release, model, paper, lambda x: ours(x, STEPS).mean(0), answers, pictures())


def preset_of(layer: Any) -> str:
    """Return the preset that a release's layer of neurons is of, told by its arguments."""
    if "channel" in inspect.signature(layer.LIFAct.__init__).parameters:
        return "mpbn"
    if "fire_ratio" in inspect.signature(layer.mem_update).parameters:
        return "ternary"
    return "soft-reset-mpr" if hasattr(layer, "MPR") else "lif"


def neuron_row(release: str, layer: Any, paper: str) -> Row:
    """Return the row of a layer of neurons on currents (T, B, C, H, W)."""
    theirs = layer.LIFAct(STEPS, CHANNELS) if paper == "mpbn" else layer.LIFAct(STEPS)
    theirs.set_spike_state(True)
    shaken(theirs)
    parts = {"surrogate": "tanh", "slope": theirs.temp} if paper == "lif" else {}
    config = neuron_of(paper, **parts)
    assert config is not None
    ours = neurons.build(config, CHANNELS).double().eval()
    if paper == "mpbn":
        ours.norm.norm.load_state_dict(theirs.bn.state_dict())  # type: ignore[union-attr]
    x = torch.randn(STEPS, 5, CHANNELS, 3, 3, generator=draws(3), dtype=torch.float64)
    return compared(release, "neuron", paper, lambda x: ours(x.movedim(2, -1)).movedim(-1, 2), theirs, x)


class Middle(nn.Module):
    """v₀ = ¼ for every neuron, in place of a draw."""

    def forward(self, x: Tensor) -> Tensor:
        """Return v₀ of x's shape."""
        return torch.full_like(x, 0.25)


def of_points(release: str) -> Iterator[Row]:
    """Yield the rows of Spiking PointNet, whose draws of v₀ are replaced by their mean on both sides."""
    torch.rand_like = lambda x, **how: torch.full_like(x, 0.5)  # type: ignore[assignment]
    network, wrapper = (importlib.import_module(f"models.{name}") for name in ("pointnet_cls", "spike_model"))
    for inputs, part in ((3, "pointnet"), (6, "pointnet with normals")):
        theirs = wrapper.SpikeModel(network.get_model(k=CLASSES, normal_channel=inputs == 6), step=STEPS)
        theirs.set_spike_state(True)
        ours = imported(shaken(theirs), "pointnet", None)
        for neuron in neurons.layers(ours).values():
            neuron.start = Middle()
        x = torch.randn(2, 32, inputs, generator=draws(4), dtype=torch.float64) / 2
        yield compared(release, part, "spiking-pointnet", *_answers(ours, theirs), x)


def _answers(ours: nn.Module, theirs: nn.Module) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return lambda x: ours(x, STEPS).log_softmax(-1).mean(0), lambda x: theirs(x.mT)[0]


def of_joint(release: str) -> Iterator[Row]:
    """Yield the rows of Joint A-SNN: the spiking network of its ResNet-18, logits summed over T."""
    torch.manual_seed(0)
    theirs = importlib.import_module("models.resnet").multi_resnet18_kd(num_classes=CLASSES)
    theirs.T = STEPS
    ours = imported(shaken(theirs), "resnet18", None)

    def answers(x: Tensor) -> Tensor:
        single, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double  # its spikes are cast to float32
        try:
            return theirs(seen(x), snn_only=True)[0]
        finally:
            torch.Tensor.float = single

    yield compared(release, "resnet18", "joint", lambda x: ours(x, STEPS).sum(0), answers, pictures())


# The file by which a release is told, and its rows.
KINDS: dict[str, Callable[[str], Iterator[Row]]] = {
    "models/spike_layer.py": of_maps,
    "models/spike_layer_without_MPR.py": of_points,
    "models/layers.py": of_joint,
}
