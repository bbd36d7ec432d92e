"""ResNets and VGG: their sizes, how time enters, what their evaluation form equals, and where spikes go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikecli import models
from spikecli.errors import SpikeError
from spikecli.evaluation.energy import counted
from spikecli.models.convolution import AveragePool, ConvNorm, Convolution, Edge, GlobalPool, pool_before
from spikecli.models.layers import BatchNorm
from spikecli.models.resnet import ResNet
from spikecli.models.vgg import VGG
from spikecli.neurons import Neuron
from spikecli.neurons.neuron import Amplitude
from spikecli.settings import networks
from spikecli.settings.config import NeuronConfig
from spikecli.settings.papers import neuron_of

NETWORKS = ["resnet18", "resnet19", "resnet20", "vgg16"]
SIZE = (10, 13)  # neither even nor square


def network(name: str = "resnet20", paper: str = "lif", **changes: Any) -> Any:
    torch.manual_seed(0)
    given = {"name": name, "neuron": neuron_of(paper), "width": 0.1, "classes": 4, "inputs": 2, "size": SIZE, **changes}
    return models.build(networks.network_settings(**given))


def warmed(model: nn.Module) -> nn.Module:
    """Return the model in evaluation mode and float64, its norms such that neurons are near their threshold."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            nn.init.constant_(module.bias, 0.45)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.01, 0.1)
    return model.double().eval()


def frames(steps: int = 3, count: int = 4) -> Tensor:
    return torch.poisson(torch.full((steps, count, 2, *SIZE), 0.6, dtype=torch.float64))


@pytest.mark.parametrize(("name", "millions"), [("resnet20", 11.25), ("resnet19", 12.57)])
def test_the_papers_networks_have_their_published_sizes(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = models.build(networks.network_settings(name=name, classes=10))
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("name", "neurons", "convolutions"),
    [("resnet18", 17, 20), ("resnet19", 17, 19), ("resnet20", 19, 22), ("vgg16", 13, 13)],
)
def test_layers_are_as_many_as_the_papers(name: str, neurons: int, convolutions: int) -> None:
    model = network(name)
    assert sum(isinstance(m, Neuron) for m in model.modules()) == neurons
    assert sum(isinstance(m, ConvNorm) for m in model.modules()) == convolutions  # 1 × 1 shortcuts among them
    assert [type(m) for m in model.modules() if isinstance(m, nn.Linear)] == [type(model.out)]


def test_the_width_scales_channels_and_the_maps_shrink_by_strides() -> None:
    model = network("resnet20", width=0.25)
    shapes = []
    for name in ("stem.2.fire", "stage1.1.fire2", "stage2.0.fire2", "stage3.0.fire1", "stage4.1.fire2"):
        model.get_submodule(name).register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape)))
    model(torch.rand(5, 2, *SIZE), 3)
    assert shapes == [
        (3, 5, 10, 13, 16), (3, 5, 5, 7, 16), (3, 5, 3, 4, 32), (3, 5, 2, 2, 64), (3, 5, 1, 1, 128),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_at_every_step_is_the_same_frame_again_and_again(name: str) -> None:
    model = warmed(network(name))
    image = frames(1)[0]
    shown = model(image, 3)
    assert shown.shape == (3, 4, 4)
    torch.testing.assert_close(shown, model(image.expand(3, -1, -1, -1, -1)))
    assert not torch.allclose(shown[0], shown[2])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_weights_of_one_step_answer_at_four_and_no_step_looks_ahead(name: str) -> None:
    model = warmed(network(name))
    again = network(name).double().eval()
    again.load_state_dict(model.state_dict())
    x = frames(4)
    torch.testing.assert_close(again(x)[:2], model(x[:2]))
    torch.testing.assert_close(again(x)[:, 1:2], model(x[:, 1:2]))  # nor at other samples


@pytest.mark.parametrize("name", NETWORKS)
def test_with_relus_it_is_the_ann(name: str) -> None:
    model = network(name, "ann")
    assert not any(isinstance(m, Neuron) for m in model.modules())
    assert model(torch.rand(3, 2, *SIZE)).shape == (1, 3, 4)


def test_a_block_adds_before_it_fires() -> None:
    model = warmed(network())
    block = model.stage2[0]
    x = (torch.rand(2, 3, 10, 13, 8) > 0.5).double()
    inner = block.fire1(block.conv1(x), 2)
    pooled = nn.functional.avg_pool2d(x.flatten(0, 1).permute(0, 3, 1, 2), 2, ceil_mode=True)
    way = block.shortcut.conv(pooled.permute(0, 2, 3, 1).unflatten(0, (2, 3)))
    assert torch.equal(block(x, 2), block.fire2(block.conv2(inner) + way, 2))
    assert isinstance(model.stage2[1].shortcut, Edge) and isinstance(model.stage1[0].shortcut, Edge)


def test_pools_take_the_mean_of_what_is_there() -> None:
    x = torch.arange(12.0).view(1, 3, 4, 1)
    assert AveragePool(2)(x).flatten().tolist() == [2.5, 4.5, 8.5, 10.5]
    assert GlobalPool()(x).tolist() == [[5.5]]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)])
def test_a_norm_in_training_is_torchs_and_in_evaluation_lies_in_the_weights(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = ConvNorm(3, 5, kernel, stride).double()
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    peer = nn.BatchNorm2d(5).double()
    peer.load_state_dict(layer.norm.state_dict(), strict=False)
    x = torch.randn(2, 4, 6, 7, 3, dtype=torch.float64)

    def plain() -> Tensor:
        flat = nn.functional.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), layer.weight, None, stride, kernel // 2)
        return peer(flat).permute(0, 2, 3, 1).unflatten(0, (2, 4))

    torch.testing.assert_close(layer(x), plain())
    torch.testing.assert_close(layer.norm.running_var, peer.running_var)
    layer.eval()
    peer.eval()
    torch.testing.assert_close(layer(x), plain())
    folded = layer.folded()
    assert type(folded) is Convolution and folded.bias is not None and not folded.training
    torch.testing.assert_close(folded(x), layer(x))


def test_tdbn_begins_at_the_threshold_and_less_where_branches_meet() -> None:
    theta = 0.4
    model = network(neuron=NeuronConfig(threshold=theta), batch_norm="tdbn")
    changing = {"stage2.0", "stage3.0", "stage4.0"}  # whose shortcut has a norm of its own
    scales = {name: layer.norm.weight for name, layer in model.named_modules() if isinstance(layer, ConvNorm)}
    assert len(scales) == 22
    for name, scale in scales.items():
        meets = name[:8] in changing and name.endswith(("conv2", "shortcut.conv"))
        expected = theta * 0.5**0.5 if meets else theta
        torch.testing.assert_close(scale.detach(), torch.full_like(scale, expected))
    plain = [layer.norm.weight for layer in network().modules() if isinstance(layer, ConvNorm)]
    assert all(bool((weight == 1).all()) for weight in plain)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_wiring_names_every_neuron_and_every_layer_that_takes_spikes(name: str) -> None:
    model = network(name)
    assert isinstance(model, ResNet | VGG)
    wires = dict(model.wiring())
    neurons = [n for n, m in model.named_modules() if isinstance(m, Neuron)]
    layers = {n for n, m in model.named_modules() if isinstance(m, ConvNorm | nn.Linear)}
    edges = {n for n, m in model.named_modules() if isinstance(m, Edge) and n.endswith("shortcut")}
    assert sorted(wires) == sorted(neurons)
    consumers = [consumer for wire in wires.values() for consumer in wire]
    first = "stem.0.conv" if isinstance(model, ResNet) else "layers.0.conv"
    pooled = {"stage1.0.conv1", "stage1.0.shortcut"} if name == "resnet20" else set()  # behind the entry's mean
    entry = {"entry.edge"} if pooled else set()
    assert sorted(consumers) == sorted((layers | edges | entry) - {first} - pooled)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_consumer_gets_the_spikes_that_the_wiring_says_through_the_pool_that_is_named(name: str) -> None:
    model = warmed(network(name))
    emitted, taken = {}, {}
    for neuron, consumers in model.wiring():
        model.get_submodule(neuron).register_forward_hook(lambda m, i, o, n=neuron: emitted.update({n: o}))
        for consumer in consumers:
            layer = model.get_submodule(consumer)
            layer.register_forward_pre_hook(lambda m, i, n=consumer: taken.update({n: i[0]}))
    model(frames(2))
    for neuron, consumers in model.wiring():
        for consumer in consumers:
            pool = pool_before(model, consumer)
            expected = emitted[neuron] if pool is None else pool(emitted[neuron])
            assert torch.equal(taken[consumer], expected), (neuron, consumer)


def test_element_wise_forms_know_the_size_of_their_map() -> None:
    neuron = NeuronConfig(amplitude="element", norm="mpbn-element")
    model = network(neuron=neuron)
    fire = model.stage2[0].fire1
    assert isinstance(fire.amplitude, Amplitude) and fire.amplitude.value.shape == (3, 4, 16)
    assert fire.norm.norm.num_features == 3 * 4 * 16
    assert model.train()(frames(2).float()).shape == (2, 4, 4)


def test_operations_of_a_convolution_counted_at_its_borders() -> None:
    layer = ConvNorm(1, 7, stride=2)
    x = torch.zeros(2, 1, 5, 5, 1)
    x[0, 0, 0, 0, 0] = x[0, 0, 1, 1, 0] = 1  # a corner lies in one window, a place between four centers in four
    x[1, 0, 2, 1, 0] = 1  # between two
    with counted(layer, 2) as counts:
        layer(x)
    assert counts.accumulates.tolist() == [7 * (1 + 4), 7 * 2]
    with counted(layer, 2) as counts:
        layer(x * 0.5)
    assert counts.multiplies.tolist() == [7 * 49, 7 * 49]  # 2 + 3 + 2 rows in three rows of windows, columns alike


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "pointnet"}, "^width means nothing to pointnet"),
        ({"batch_norm": "tdbn", "neuron": None}, "the ANN has none"),
        ({"tnet": "pooled"}, "^tnet means nothing to resnet20: it is for pointnet"),
        ({"dropout": 0.1}, "^dropout means nothing to resnet20: it is for pointnet, dela"),
    ],
)
def test_networks_that_make_no_sense_are_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpikeError, match=reason):
        network(**changes)


@pytest.mark.parametrize(("part", "cure"), [({"amplitude": "element"}, "channel"), ({"norm": "mpbn-element"}, "mpbn")])
def test_parts_for_each_pixel_are_refused_for_points(part: dict[str, Any], cure: str) -> None:
    with pytest.raises(SpikeError, match=f"no order; take {cure}"):
        models.build(networks.network_settings("pointnet", neuron=NeuronConfig(**part)))
