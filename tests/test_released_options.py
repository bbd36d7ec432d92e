"""Options that make this program do as the authors' released code does, each held by hand-computed values."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli import models
from spikecli.datasets.events.facts import CIFAR10DVS, NMNIST
from spikecli.datasets.events.frames import fitted
from spikecli.datasets.events.layouts import find_items
from spikecli.datasets.events.prepare import prepare_events
from spikecli.datasets.events.samples import Framing
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.errors import SpikeError
from spikecli.models.adapter import InterTimestepAdapter, growing_logits
from spikecli.models.exits import Bottleneck
from spikecli.models.joint import Joint, ordinary
from spikecli.models.map_norm import MapNorm
from spikecli.models.resnet import ResNet
from spikecli.neuroclip.fitting import Fitting, fit
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.training.schedule import optimizer

# F3: NeuroCLIP's few-shot fitting (2306.12073).


def test_text_features_of_length_1_as_one_vector_divide_the_logits_by_the_root_of_t() -> None:
    torch.manual_seed(0)
    features, texts = torch.randn(10, 3, 8), functional.normalize(torch.randn(4, 8), dim=1)
    # As released: T features in a row, and the T times repeated text feature, each brought to length 1.
    row = functional.normalize(features.transpose(0, 1).flatten(1), dim=1)
    repeated = functional.normalize(texts.repeat(1, 10), dim=1)
    scale = Fitting(text_length="whole").scaled(20.0, 10)
    torch.testing.assert_close(growing_logits(features, texts, scale).mean(0), 20.0 * row @ repeated.T)
    assert Fitting().scaled(20.0, 10) / scale == pytest.approx(math.sqrt(10))


def fitted_adapter(scale: float = 20.0, **changes: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)
    views, texts = torch.randn(1, 12, 4, 16), functional.normalize(torch.randn(3, 16), dim=1)
    asked = Fitting(epochs=2, **changes)
    return fit(views, torch.arange(12) % 3, texts, scale, asked, seed=0).state_dict()


def test_fitting_follows_its_three_choices() -> None:
    ours = fitted_adapter()
    whole, colder = fitted_adapter(text_length="whole"), fitted_adapter(scale=20.0 / 2)  # √4 steps
    assert all(torch.equal(whole[name], colder[name]) for name in ours)
    assert not torch.equal(ours["up.weight"], whole["up.weight"])
    assert not torch.equal(ours["norm_in.running_mean"], fitted_adapter(norms="step")["norm_in.running_mean"])
    others, more = fitted_adapter(smoothed="others"), fitted_adapter(label_smoothing=0.2 * 3 / 2)
    assert all(torch.equal(others[name], more[name]) for name in ours)


def test_an_adapters_norms_take_each_step_by_itself() -> None:
    adapter = InterTimestepAdapter(8, dropout=0.0, norms_by_step=True).train()
    features = torch.randn(2, 5, 8) * torch.tensor([1.0, 3.0])[:, None, None] + torch.tensor([0.0, 2.0])[:, None, None]
    seen: list[Tensor] = []
    adapter.down.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    adapter(features)
    alone = (features - features.mean(1, keepdim=True)) / (features.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(seen[0].view(2, 5, 8), alone)
    first, second = features.mean(1)  # the running mean moves by a tenth toward each step's, one after the other
    assert isinstance(adapter.norm_in, nn.BatchNorm1d)
    torch.testing.assert_close(adapter.norm_in.running_mean, 0.9 * 0.1 * first + 0.1 * second)


def test_smoothing_is_shared_by_the_other_classes() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    wanted = torch.full((6, 4), 0.2 / 3)
    wanted[torch.arange(6), labels] = 0.8
    released = -(wanted * logits.log_softmax(1)).sum(1).mean()
    smoothing = Fitting(smoothed="others").smoothing(4)
    assert smoothing == pytest.approx(0.2 * 4 / 3)
    torch.testing.assert_close(functional.cross_entropy(logits, labels, label_smoothing=smoothing), released)


def test_a_choice_of_fitting_that_is_none_is_refused() -> None:
    with pytest.raises(SpikeError, match="found text length 'long'; wanted one of each, whole"):
        Fitting(text_length="long")


# F9: Joint A-SNN (2305.02099).


def test_sgd_without_momentum_is_a_plain_step() -> None:
    layer = nn.Linear(1, 1, bias=False)
    steps = optimizer(TrainConfig(optimizer="sgd", momentum=0.0, lr=0.1, weight_decay=0.0), layer)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    for _ in range(2):
        layer.weight.grad = torch.ones_like(layer.weight)
        steps.step()
    assert layer.weight.item() == pytest.approx(1.0 - 0.1 - 0.1)  # momentum 0.9 would have taken 0.29 off


def test_a_batch_norm_by_step_takes_each_step_by_itself() -> None:
    norm = MapNorm(1).train()
    norm.by_itself = True
    maps = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).view(2, 2, 1, 1, 1)
    torch.testing.assert_close(norm(maps).flatten(), torch.tensor([-1.0, 1.0, -1.0, 1.0]), atol=1e-4, rtol=0)
    assert norm.running_mean.item() == pytest.approx(0.9 * 0.1 * 2 + 0.1 * 20)
    # unbiased variances 2 and 200
    assert norm.running_var.item() == pytest.approx(0.9 * (0.9 + 0.1 * 2) + 0.1 * 200)


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_networks_norm_as_their_settings_say(name: str) -> None:
    for kind, by_step in (("plain", False), ("tdbn", False), ("step", True)):
        model = models.build(network_settings(name, width=0.05, batch_norm=kind, size=(16, 16)))
        assert {module.by_itself for module in model.modules() if isinstance(module, MapNorm)} == {by_step}


def joint(**changes: Any) -> Joint:
    torch.manual_seed(0)
    settings = network_settings(
        "resnet18", joint=True, width=0.125, inputs=2, size=(8, 8), exits="bottleneck", exit_bias="common", **changes
    )
    model = models.build(settings).double()
    assert isinstance(model, Joint)
    return model


def test_exits_are_bottlenecks_whose_patches_halve() -> None:
    model = joint()
    exits = [one for one in model.snn.exits if isinstance(one, Bottleneck)]
    assert [one.side for one in exits] == [8, 4, 2]  # on the maps 8, 4 and 2 of an 8 × 8 image: one patch each
    features = {conv.out_channels for one in exits for conv in one.convs}
    assert features == {64, 16}  # 512 · ⅛, and a quarter of it
    maps = torch.rand(2, 3, 8, 8, 8, dtype=torch.float64).round()
    logits, feature = first_exit(model, maps)
    assert logits.shape == (2, 3, 10) and feature.shape == (2, 3, 64)
    assert set(feature.flatten().tolist()) <= {0.0, 1.0}  # one patch: the mean of one spike


def first_exit(model: Joint, maps: Tensor) -> tuple[Tensor, Tensor]:
    """The first exit's answer with the weights that its branch makes."""
    leave, place = model.snn.exits[0], len(model.snn.names)
    weights = {
        name: model.bases[place + number](model.snn.sigma[place + number])
        for number, (exit_number, name) in enumerate(model.snn.exit_names)
        if exit_number == 0
    }
    return torch.func.functional_call(leave, {**weights, "out.bias": model.biases[0]}, (maps,))


def test_exits_share_their_bases_and_all_classifiers_their_biases() -> None:
    model = joint().train()
    assert len(model.bases) == len(model.snn.names) + 3 * 3 == len(model.ann.sigma)
    assert [tuple(bias.shape) for bias in model.biases] == [(10,)] * 4
    assert not [name for name in model.state_dict() if name.endswith("out.bias")]
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name in ("ann", "snn"):
        getattr(model, name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.__setitem__(name, output)
        )
    frames = torch.rand(2, 3, 2, 8, 8, dtype=torch.float64)
    model(frames, 2)
    for number, bias in enumerate(model.biases):
        for name in ("ann", "snn"):
            (moved,) = torch.autograd.grad(seen[name][number][0].sum(), bias, retain_graph=True)
            assert torch.equal(moved, torch.full_like(moved, 3.0 if name == "ann" else 6.0))  # samples × steps
    u = model.bases[-1].u
    for name in ("ann", "snn"):
        (moved,) = torch.autograd.grad(seen[name][2][0].square().sum(), u, retain_graph=True)
        assert moved.abs().sum() > 0


def test_the_ordinary_network_has_the_common_bias_of_the_end() -> None:
    model = joint()
    with torch.no_grad():
        model.biases[-1].copy_(torch.arange(10.0))
    model.eval()
    frames = torch.rand(2, 3, 2, 8, 8, dtype=torch.float64)
    plain = models.build(network_settings("resnet18", width=0.125, inputs=2, size=(8, 8))).double().eval()
    assert isinstance(plain, ResNet)
    plain.load_state_dict(ordinary(model.state_dict(), plain))
    torch.testing.assert_close(plain(frames, 2), model(frames, 2))
    torch.testing.assert_close(model.materialized()(frames, 2), model(frames, 2))
    assert torch.equal(plain.out.bias, model.biases[-1])


def test_small_maps_and_networks_without_maps_have_no_bottlenecks() -> None:
    with pytest.raises(SpikeError, match="an exit of 8 × 8 patches meets maps of 4 × 4"):
        Bottleneck(2, 8, 3, 8, lambda width: nn.Identity())(torch.zeros(1, 1, 4, 4, 2))
    with pytest.raises(SpikeError, match="exits cannot be 'bottleneck': choose one of linear"):
        network_settings("pointnet", joint=True, exits="bottleneck")


# F10: CIFAR10-DVS.


def test_frames_are_resized_by_the_nearest_pixel() -> None:
    counts = torch.arange(16.0).view(1, 1, 4, 4)
    assert fitted(counts, 0.0, (2, 2), "nearest").flatten().tolist() == [0, 2, 8, 10]
    assert fitted(counts, 0.0, (2, 2)).flatten().tolist() != [0, 2, 8, 10]
    frames = np.random.default_rng(0).integers(0, 9, (1, 2, 2, 128, 128)).astype(np.int32)
    small = Framing("count", (48, 48), 2, "nearest").of(frames)
    places = [int(index * 128 / 48) for index in range(48)]
    assert small.shape == (1, 2, 2, 48, 48) and (small == frames[..., places, :][..., places]).all()


def test_the_split_follows_the_numbers_or_the_names_as_text(tmp_path: Path) -> None:
    folder = tmp_path / "cat"
    folder.mkdir()
    for number in range(1000):
        (folder / f"cifar10_cat_{number}.aedat4").touch()

    def test_names(order: Any) -> set[str]:
        items = find_items(replace(CIFAR10DVS, split_order=order), tmp_path)
        return {item.name for item in items if item.split == "test"}

    number, text = test_names("number"), test_names("text")
    assert number == {f"cat/cifar10_cat_{n}" for n in range(900, 1000)}
    assert len(text) == 100 and {"cat/cifar10_cat_91", "cat/cifar10_cat_999"} <= text
    assert "cat/cifar10_cat_908" not in text and len(number & text) == 91


def test_an_order_is_refused_where_the_data_set_has_a_split(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match="the split of nmnist does not follow file names"):
        prepare_events(NMNIST, tmp_path, PrepareOptions(split_order="text"))
