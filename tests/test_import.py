"""`spikecli import`: released checkpoints become runs that answer as the released networks do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import released_nets as nets
import torch
from conftest import Outcome
from torch import Tensor, nn

from spikecli.errors import ChoiceError, SettingError, SpikeError
from spikecli.training.importing import import_released
from spikecli.weights.released_names import names_of, plain_name
from spikecli.weights.trained import Trained

Cli = Callable[..., Outcome]
STEPS, CLASSES = 2, 10


def answers(run: Path, x: Tensor, timesteps: int = STEPS) -> Tensor:
    """Return the logits (T, B, K) of an imported run in float64."""
    network = Trained.open(run, "cpu").network.double()
    with torch.no_grad():
        found: Tensor = network(x, timesteps)
    return found


def pictures(channels: int = 3, side: int = 8) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(5)).double() * 4 - 2


def seen(x: Tensor) -> Tensor:
    """Return an image in −2 … 2 as the releases see CIFAR-10, shown at every step (T, B, C, H, W)."""
    mean, deviation = torch.tensor([[0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]]).double()[:, :, None, None]
    return ((x / 4 + 0.5 - mean) / deviation).expand(STEPS, *x.shape)


MAPS: dict[str, tuple[str, Any, nets.Neurons, dict[str, Any], str | None]] = {
    "mpbn": ("resnet20", nets.resnet20, nets.Neurons(), {"membrane": True}, None),
    "mpbn-vgg": ("vgg16", nets.vgg16, nets.Neurons(), {"membrane": True}, None),
    "ternary": ("resnet19", nets.resnet19, nets.Neurons(ternary=True), {"stem_norm": "conv"}, "ternary"),
    "ternary-trainable": (
        "resnet20", nets.resnet20, nets.Neurons(ternary=True, amplitude="scalar"), {"stem_norm": "conv"}, None
    ),
    "ternary-channel": (
        "resnet20", nets.resnet20, nets.Neurons(ternary=True, amplitude="channel"), {"stem_norm": "conv"}, None
    ),
    "soft-reset-mpr": ("resnet20", nets.resnet20, nets.Neurons(decay=1.0, soft=True), {"td": True}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", MAPS)
def test_an_imported_network_of_maps_answers_as_the_released_one(case: str, tmp_path: Path) -> None:
    model, forward, neurons, how, paper = MAPS[case]
    store, x = nets.Store(1), pictures(side=16 if model == "vgg16" else 8)
    expected = forward(nets.Maps(store, neurons, **how), seen(x), CLASSES)
    assert expected.std() > 0.1 and not torch.equal(expected[0], expected[1])  # spikes reach the end
    torch.save({f"module.{name}": value for name, value in store.saved().items()}, tmp_path / "released.pth")
    done = import_released(tmp_path / "released.pth", model, tmp_path / "run", paper)
    assert done.config.paper == (paper or case.split("-vgg")[0].replace("-channel", "-trainable"))
    assert done.config.dataset == "cifar10" and done.classnames[3] == "cat"
    torch.testing.assert_close(answers(tmp_path / "run", x), expected, rtol=2e-5, atol=2e-5)


def test_joint_becomes_its_spiking_network_alone(tmp_path: Path) -> None:
    store, x = nets.Store(2), pictures()
    expected = nets.joint_resnet18(store, seen(x), CLASSES)
    assert expected.std() > 0.1
    torch.save(store.saved(), tmp_path / "res18.pth")
    done = import_released(tmp_path / "res18.pth", "resnet18", tmp_path / "run")
    assert (done.config.paper, done.config.model.is_joint) == ("joint", False)
    torch.testing.assert_close(answers(tmp_path / "run", x), expected, rtol=2e-5, atol=2e-5)


def test_recordings_have_two_channels_and_no_pixels(tmp_path: Path) -> None:
    store = nets.Store(3)
    frames = torch.randint(0, 3, (STEPS, 2, 2, 8, 8), generator=torch.Generator().manual_seed(0)).double()
    expected = nets.resnet20(nets.Maps(store, nets.Neurons(), membrane=True), frames, CLASSES)
    torch.save(store.saved(), tmp_path / "dvs.pth")
    done = import_released(tmp_path / "dvs.pth", "resnet20", tmp_path / "run")
    assert done.config.dataset == "cifar10dvs" and done.config.resize == "nearest"
    torch.testing.assert_close(answers(tmp_path / "run", frames), expected, rtol=1e-9, atol=1e-9)


def clouds(channels: int = 3) -> Tensor:
    return torch.randn(2, 24, channels, generator=torch.Generator().manual_seed(4)).double() / 2


class Middle(nn.Module):
    """v₀ = ¼ for every neuron."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.25)


@pytest.mark.parametrize("channels", [3, 6])  # with normals, as its `--use_normals`
def test_spiking_pointnet_answers_as_the_released_one(channels: int, tmp_path: Path) -> None:
    store, x = nets.Store(4), clouds(channels)
    expected = nets.pointnet(store, x.transpose(1, 2), STEPS, CLASSES, Middle())
    assert expected.std() > 0.1
    checkpoint = {"epoch": 3, "instance_acc": np.float64(0.93), "model_state_dict": store.saved()}
    torch.save(checkpoint, tmp_path / "best_model.pth")
    done = import_released(tmp_path / "best_model.pth", "pointnet", tmp_path / "run")
    assert (done.config.paper, done.config.dataset) == ("spiking-pointnet", "modelnet10")
    network = Trained.open(tmp_path / "run", "cpu").network.double()
    for module in network.modules():
        if hasattr(module, "start"):
            module.start = Middle()  # in place of the noise: both begin alike
    with torch.no_grad():
        torch.testing.assert_close(network(x, STEPS), expected, rtol=2e-5, atol=2e-5)


def small(tmp_path: Path, drop: str | None = None, **others: Tensor) -> Path:
    store = nets.Store(5)
    nets.resnet20(nets.Maps(store, nets.Neurons(), membrane=True), pictures(side=4)[None], CLASSES)
    values = {name: value for name, value in store.saved().items() if drop is None or drop not in name}
    path = tmp_path / "small.pth"
    torch.save({"state_dict": {**values, **others}}, path)
    return path


def test_what_is_missing_and_what_is_unknown_stand_in_one_line(tmp_path: Path) -> None:
    path = small(tmp_path, "layer3.1.bn2", **{"model.extra.weight": torch.zeros(3)})
    with pytest.raises(
        SpikeError, match=r"does not fit resnet20: 4 missing \(layer3.1.bn2.weight, .*\) and 1 unknown \(ext"
    ):
        import_released(path, "resnet20", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_without_the_ends_of_a_network_is_told_what_it_lacks(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(4, 3)}, tmp_path / "few.pth")
    why = r"missing feat.stn.conv1.weight, its first layer and fc3.weight, its last layer; found conv1.weight \(4, 3\)"
    with pytest.raises(SpikeError, match=why):
        import_released(tmp_path / "few.pth", "pointnet", tmp_path / "run")


def test_the_network_that_fits_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match="does not fit resnet18; its names are those of resnet20: give as resnet20"):
        import_released(small(tmp_path), "resnet18", tmp_path / "run", dataset="cifar10")
    with pytest.raises(ChoiceError, match="as cannot be 'dela': released names are known of pointnet, resnet18"):
        import_released(small(tmp_path), "dela", tmp_path / "run")


def test_a_paper_that_the_file_does_not_say_is_asked_for(tmp_path: Path) -> None:
    store = nets.Store(6)
    nets.resnet20(nets.Maps(store, nets.Neurons(), stem_norm="conv"), pictures(side=4)[None], 7)
    torch.save(store.saved(), tmp_path / "plain.pth")
    with pytest.raises(SettingError, match="data is needed: no release of resnet20 with 7 classes"):
        import_released(tmp_path / "plain.pth", "resnet20", tmp_path / "run")
    with pytest.raises(SettingError, match="paper is needed: the file holds nothing of its neurons"):
        import_released(
            tmp_path / "plain.pth", "resnet20", tmp_path / "run", dataset="cifar10", classes=named(tmp_path, 7)
        )
    with pytest.raises(SpikeError, match="the weights have 7 classes and cifar10 names 10"):
        import_released(tmp_path / "plain.pth", "resnet20", tmp_path / "run", "lif", "cifar10")
    done = import_released(
        tmp_path / "plain.pth", "resnet20", tmp_path / "run", "ternary", "cifar10", named(tmp_path, 7)
    )
    assert done.classnames[-1] == "class 6" and done.config.model.neuron is not None
    assert done.config.model.neuron.fire == "ternary"
    with pytest.raises(SpikeError, match="holds a run already"):
        import_released(tmp_path / "plain.pth", "resnet20", tmp_path / "run")


def named(folder: Path, count: int) -> Path:
    path = folder / "names.txt"
    path.write_text("".join(f"class {number}\n" for number in range(count)))
    return path


class Bomb:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"a": torch.zeros(1)}, "other": Bomb(tmp_path / "ran")}, tmp_path / "bad.pth")
    with pytest.raises(SpikeError, match="cannot be read as weights alone"):
        import_released(tmp_path / "bad.pth", "resnet20", tmp_path / "run")
    assert not (tmp_path / "ran").exists()
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(SpikeError, match="holds no state dict"):
        import_released(tmp_path / "list.pth", "resnet20", tmp_path / "run")
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(SpikeError, match=r"text\.pth"):
        import_released(tmp_path / "text.pth", "resnet20", tmp_path / "run")


def test_names_lose_their_wrappers() -> None:
    assert plain_name("module.model.layer1.0.conv1.pool.weight") == "layer1.0.conv1.weight"
    assert plain_name("model.bn1.conv.running_mean") == "bn1.running_mean"
    assert plain_name("model.feat.stn.bn1.bn2.weight") == "feat.stn.bn1.bn2.weight"  # two norms, of which one is used
    assert plain_name("conv.weight") == "conv.weight"


@pytest.mark.parametrize("model", ["pointnet", "resnet18", "resnet19", "resnet20", "vgg16"])
def test_every_layer_of_a_network_has_a_released_name(model: str) -> None:
    from spikecli import models
    from spikecli.settings.networks import network_settings

    fields = {"tnet": "paper"} if model == "pointnet" else {}
    names = names_of(model)
    assert names is not None
    wanted = {name.rpartition(".")[0] for name in models.build(network_settings(model, **fields)).state_dict()}
    assert {layer.ours for layer in names.layers} == {name.removesuffix(".norm") for name in wanted}
    assert len({layer.theirs for layer in names.layers}) == len(names.layers)


def test_the_command_makes_a_run_that_other_commands_take(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    store = nets.Store(7)
    nets.pointnet(store, clouds().transpose(1, 2), 1, 10, torch.zeros_like)
    torch.save({"model_state_dict": store.saved()}, tmp_path / "best.pth")
    run, data = tmp_path / "run", ["--data-dir", shapes_dir]
    line = ["import", tmp_path / "best.pth", "--as", "pointnet", "--out", run]
    done = cli(*line, "--data", "shapes", "--points", 32, *data, "--json")
    assert done.code == 0, done.err
    assert done.document["classnames"] and done.document["model"] == "pointnet"
    scores = cli("eval", run, *data, "-T", "1", "--runs", "1", "--json")
    assert scores.code == 0, scores.err
    assert 0 <= scores.document["results"][0]["instance_accuracy"] <= 1
    folded = cli("reparameterize", run, "--out", tmp_path / "folded.safetensors", "--samples", "2", *data, "--json")
    assert folded.code == 0 and folded.document["spikes_flipped"] == 0, folded.err
    viewed = cli("view", run, "-T", "1", "--runs", "1", "--out", tmp_path / "run.png", *data)
    assert viewed.code == 0, viewed.err
