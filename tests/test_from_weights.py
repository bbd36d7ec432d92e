"""Starting from the weights of another network: the head, frozen layers, folded weights, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikecli import models
from spikecli.errors import SettingError
from spikecli.models.batch_norm import BatchNorm
from spikecli.settings.config import NeuronConfig, network_settings
from spikecli.training import starting
from spikecli.training.batches import balanced
from spikecli.training.frozen import begin_training, freeze
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained
from spikecli.weights.transfer import measure_norms, take_weights

Cli = Callable[..., Any]
REFERENCE = Trained.open("reference", "cpu")
ABC = ("a", "b", "c")


def clouds(count: int, seed: int = 0) -> Tensor:
    x = torch.randn(count, 64, 3, generator=torch.Generator().manual_seed(seed))
    return x / x.norm(dim=-1).amax(1)[:, None, None]


def of_reference(**changes: Any) -> nn.Module:
    return models.build(REFERENCE.config.model.model_copy(update={"folded": False, **changes}))


def test_folded_weights_are_taken_back_and_compute_the_same() -> None:
    model = of_reference()
    assert take_weights(model, REFERENCE, REFERENCE.classnames) is False
    x, model = clouds(6), model.eval()
    with torch.no_grad():
        before = REFERENCE.network(x, 3)
        torch.testing.assert_close(model(x, 3), before)
        measure_norms(model, iter([x[:2], x[2:]]), 1, torch.device("cpu"), "fp32")
        torch.testing.assert_close(model(x, 3), before, atol=2e-4, rtol=1e-4)


def test_another_number_of_time_steps_is_said(recwarn: pytest.WarningsRecorder) -> None:
    starting._compare_steps(REFERENCE, 1)
    assert not recwarn
    with pytest.warns(UserWarning, match="reference weights: trained with 1 time step, this run takes 4; timesteps 1"):
        starting._compare_steps(REFERENCE, 4)


def test_measured_statistics_are_those_of_all_rows() -> None:
    """y = 2x + 1 in evaluation; of the rows 1, 3, 5 the mean is 3 and the variance 8/3, whatever the batches."""
    norm = BatchNorm(1)
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.bias.fill_(1.0)
        norm.running_var.fill_(1 - norm.eps)
        norm.train().hold()
        for rows in ([1.0], [3.0, 5.0]):
            torch.testing.assert_close(norm(torch.tensor(rows)[:, None])[:, 0], 2 * torch.tensor(rows) + 1)
        norm.release()
    assert norm.running_mean.item() == pytest.approx(3) and norm.running_var.item() == pytest.approx(8 / 3)
    torch.testing.assert_close(norm.eval()(torch.tensor([[4.0]])), torch.tensor([[9.0]]))


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "pointnet", "tnet": "pooled"},
        {"name": "pointnet", "tnet": "paper"},
        {"name": "dela", "width": 0.1},
        {"name": "resnet20", "width": 0.125, "inputs": 2, "size": (16, 16)},
        {"name": "vgg16", "width": 0.125, "size": (16, 16)},
    ],
    ids=lambda settings: "-".join(map(str, list(settings.values())[:2])),
)
def test_every_network_can_be_unfolded(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = network_settings(**settings, classes=3, neuron=NeuronConfig(fire="ternary", amplitude="channel"))
    model = models.build(config)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("norm.weight") or "running" in name:
                value.uniform_(0.5, 1.5)
    plain = reparameterize(model)
    fresh = models.build(config)
    folded = config.model_copy(update={"folded": True})
    if settings["name"] == "resnet20":
        with pytest.raises(SettingError, match=r"(edge|shortcut)\.weight"):  # gains that stay on edges
            take_weights(fresh, of(plain, folded), ABC)
        config = config.model_copy(update={"neuron": NeuronConfig(fire="ternary")})
        model, fresh = models.build(config), models.build(config)
        plain, folded = reparameterize(model), config.model_copy(update={"folded": True})
    take_weights(fresh, of(plain, folded), ABC)
    x = clouds(3) if "size" not in settings else torch.rand(3, config.inputs, 16, 16)  # type: ignore[attr-defined]
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(x, 2), plain(x, 2), atol=1e-4, rtol=1e-4)


def of(network: nn.Module, config: Any) -> Trained:
    return replace(
        REFERENCE, network=network, config=REFERENCE.config.model_copy(update={"model": config}), classnames=ABC
    )


def test_a_folded_membrane_norm_cannot_be_taken_back() -> None:
    config = network_settings(classes=3, neuron=NeuronConfig(norm="mpbn"))
    plain = of(reparameterize(models.build(config)), config.model_copy(update={"folded": True}))
    with pytest.raises(SettingError, match=r"(the run that it was folded from|take the same network and neuron)"):
        take_weights(models.build(config), plain, ABC)


def test_other_classes_get_a_new_last_layer_and_other_networks_are_refused() -> None:
    torch.manual_seed(3)
    model = of_reference(classes=3)
    head = model.out.weight.clone()
    trainable = REFERENCE.config.model.model_copy(update={"folded": False})
    assert take_weights(model, REFERENCE, ABC) is True
    assert torch.equal(model.out.weight, head)
    torch.testing.assert_close(model.head1.weight, REFERENCE.network.head1.weight)
    with pytest.raises(SettingError, match="take the same network and neuron"):
        take_weights(
            of_reference(tnet="pooled"),
            of(of_reference(), trainable),
            ABC,
        )


@pytest.mark.parametrize(("how", "learns"), [("features", {"head1", "head2", "out"}), ("all-but-last", {"out"})])
def test_frozen_layers_keep_weights_and_statistics(how: str, learns: set[str]) -> None:
    model = of_reference(classes=3)
    freeze(model, how)
    begin_training(model)
    assert {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad} == learns
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(clouds(5), 1).square().sum().backward()
    optimizer.step()
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == learns


def test_classes_take_turns_in_a_balanced_batch() -> None:
    labels = np.repeat([0, 1, 2], [20, 3, 7])
    order = balanced(labels, 5, 8, np.random.default_rng(0))
    assert order.shape == (5, 8)
    for batch in labels[order]:
        counts = np.bincount(batch, minlength=3)
        assert counts.max() - counts.min() <= 1
    seen = np.bincount(order[labels[order] == 1], minlength=30)[20:23]
    assert seen.max() - seen.min() <= 1  # of the small class each comes as often
    assert len(np.unique(order[labels[order] == 0])) == (labels[order] == 0).sum()  # of the large one none twice


def test_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, name in enumerate(("bolt", "cup", "gear")):
        for number in range(10 - 3 * label):
            path = tmp_path / "from" / name / f"{number}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, rng.normal(size=(40, 3)) * (1 + label, 1, 1))
    place = ("--data-dir", tmp_path / "data", "--quiet")
    assert cli("data", "prepare", "parts", "--from", tmp_path / "from", "--points", 32, *place).code == 0
    run = tmp_path / "run"
    how = ("--epochs", 2, "--points", 32, "--batch-size", 6, "--balance", "--out", run, *place)
    done = cli("train", "parts", "--from", "reference", "--freeze", "features", *how)
    assert done.code == 0, done.err
    saved = Trained.open(run, "cpu")
    assert saved.config.start_from == "reference" and saved.config.model.folded is False
    assert saved.config.paper == "ternary" and saved.config.model.classes == 3 and saved.config.balance
    assert saved.notes["from"]["new_head"] is True and saved.notes["from"]["weights"] == "reference weights"
    state = saved.network.state_dict()
    torch.testing.assert_close(state["point1.weight"], REFERENCE.network.state_dict()["point1.weight"])
    on = cli("train", "parts", "--resume", "--epochs", 3, "--out", run, *place)
    assert on.code == 0, on.err
    again = cli("train", "--like", run, "--out", tmp_path / "again", *place)
    assert again.code == 0, again.err
    assert Trained.open(tmp_path / "again", "cpu").notes["from"] == saved.notes["from"]
    second = cli("train", "parts", "--from", run, "--epochs", 1, "--out", tmp_path / "second", *place)
    assert second.code == 0, second.err
    assert Trained.open(tmp_path / "second", "cpu").notes["from"]["new_head"] is False
    shown = cli("config", "show", run)
    assert 'from = "reference"' in shown.out and 'freeze = "features"' in shown.out


def test_what_does_not_fit_is_refused(cli: Cli, tmp_path: Path, shapes_dir: Path) -> None:
    place = ("--data-dir", shapes_dir, "--out", tmp_path / "run", "--quiet")
    other = cli("train", "shapes", "--from", "reference", "--model", "dela", *place)
    assert other.code == 2 and "the weights of --from are of pointnet" in other.err
    alone = cli("train", "shapes", "--freeze", "features", *place)
    assert alone.code == 2 and "--freeze cannot be features without --from" in alone.err
    maps = cli("train", "digits", "--from", "reference", *place)
    assert maps.code == 2 and "pointnet takes points" in maps.err
    nowhere = cli("train", "shapes", "--from", tmp_path / "gone", *place)
    assert nowhere.code == 1 and "no checkpoint" in nowhere.err
