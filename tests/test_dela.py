"""DeLA with neurons: learns, folds exactly, counts its operations, and shows its points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikecli import models
from spikecli.evaluation.energy import counted
from spikecli.evaluation.proof import compare
from spikecli.models.dela import Dela
from spikecli.models.neighbours import Neighborhood, farthest_first
from spikecli.models.offsets import OffsetTask
from spikecli.models.running import step_logits
from spikecli.models.work import multiply_adds, necessary
from spikecli.neurons import layers
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import network_settings
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.training.offset_loss import OffsetLoss, offset_weight
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.reparameterize import reparameterize

PAPERS_TRIED = [paper for paper in PAPERS if paper != "joint"]


def dela(paper: str = "ternary", **changes: Any) -> Dela:
    torch.manual_seed(0)
    fields = {"neuron": neuron_of(paper), "width": 0.05, "neighbors": 5, "classes": 4, **changes}
    found = models.build(network_settings("dela", **fields))
    assert isinstance(found, Dela)
    return found


def clouds(count: int = 3, points: int = 64, seed: int = 0) -> Tensor:
    found = torch.randn(count, points, 3, generator=torch.Generator().manual_seed(seed))
    return found / found.norm(dim=-1).amax(1)[:, None, None]


def shaken(model: nn.Module) -> nn.Module:
    """Give every norm of a network random factors of both signs, and statistics of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "running_mean"):
                for tensor in (module.weight, module.bias, module.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model.eval()


@pytest.mark.parametrize("paper", PAPERS_TRIED)
def test_every_paper_trains_with_one_step_and_answers_with_four(paper: str) -> None:
    model = dela(paper)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(2):  # the gains of most layers begin at 0: what is behind them learns from the second step on
        optimizer.zero_grad()
        model(clouds(seed=step), 1).square().mean().backward()
        optimizer.step()
    still = {name for name, value in model.named_parameters() if torch.equal(value, weights[name]) and value.dim() > 1}
    assert {name for name in still if not name.startswith("offsets.")} == set()
    steps = 1 if paper == "ann" else 4
    with torch.no_grad():
        logits = model.eval()(clouds(), steps)
    assert logits.shape == (steps, 3, 4)
    assert logits.isfinite().all()


@pytest.mark.parametrize("paper", [paper for paper in PAPERS_TRIED if paper != "ann"])
def test_folding_changes_no_spike(paper: str) -> None:
    model = shaken(dela(paper)).double()
    folded = reparameterize(model)
    for timesteps in (1, 3):
        found = compare(model, folded, clouds().numpy(), timesteps, 0, torch.device("cpu"))
        assert found.spikes_flipped == 0 and found.spikes > 0
        assert found.max_logit_difference < 1e-9


def test_the_order_of_the_points_changes_nothing_but_the_first_point() -> None:
    model = shaken(dela()).double()
    points = clouds(2).double()
    moved = torch.cat([points[:, :1], points[:, 1:].flip(1)], 1)  # farthest first begins with the first point
    with torch.no_grad():
        assert torch.allclose(model(points, 2), model(moved, 2), atol=1e-12)


def test_a_cloud_answers_alike_alone_and_in_a_batch() -> None:
    model = shaken(dela()).double()
    with torch.no_grad():
        together, alone = model(clouds().double(), 2), model(clouds().double()[1:2], 2)
    assert torch.allclose(together[:, 1:2], alone, atol=1e-12)


def test_fewer_points_than_neighbors() -> None:
    model = dela(neighbors=20)
    assert model(clouds(points=16), 1).shape == (1, 3, 4)  # levels of 16, 4 and 1 points
    assert model.eval()(clouds(points=16), 2).shape == (2, 3, 4)


def test_spikes_meet_weights_alone() -> None:
    """By hand: the first layer of each embedding reads real offsets, every other layer spikes."""
    model = shaken(dela())
    with counted(model, 2) as counts, torch.no_grad():
        model(clouds(1), 2)
    multiplied = {name: sums[3].tolist() for name, sums in counts.layers.items() if sums[3].any()}
    pairs = [5 * 64, 5 * 16, 4 * 4]  # of each level: points times neighbors
    assert multiplied == {
        **{f"embeddings.{level}.first": [8.0 * (4 if level == 0 else 3) * pairs[level], 0] for level in range(3)},
        "embeddings.1.out": [8.0 * 8 * 16] * 2,
        "embeddings.2.out": [8.0 * 20 * 4] * 2,
    }
    name = "levels.0.locals.0"
    spikes = counts.layers[f"{name}.fire"][0]
    assert spikes.sum() > 0
    assert torch.equal(counts.layers[f"{name}.local.product"][2], spikes * 8)


def test_multiply_adds_at_full_width_by_hand() -> None:
    model = dela("ann", width=1.0, neighbors=20).eval()
    with necessary(model) as products, torch.no_grad():
        model(clouds(1, 256), 1)
    pairs = 5120 * (4 * 24 + 24 * 48 + 48 * 96) + (1280 + 256) * (3 * 12 + 12 * 24 + 24 * 48)
    blocks = 16 * (256 * 96**2 + 64 * 192**2 + 16 * 384**2)
    between = 48 * (64 * 192 + 16 * 384) + (256 + 64) * 96 * 192 + (64 + 16) * 192 * 384
    head = 16 * 384 * 2048 + 2048 * 512 + 512 * 256 + 256 * 4
    assert multiply_adds(products) == pairs + blocks + between + head


def test_points_are_shown_where_they_lie() -> None:
    model = shaken(dela("ann", width=0.2)).double()
    points = clouds(1).double()
    found: list[Tensor] = []
    handle = model.watch_winners(found.append)
    with torch.no_grad():
        model(points, 1)
        model(points, 1)
    handle.remove()
    assert len(found) == 2 and torch.equal(found[0], found[1])
    last = set(farthest_first(points, 16)[0, :4].tolist())  # the points of the last level
    assert set(found[0].flatten().tolist()) <= last


def test_the_trunk_fires_at_every_point() -> None:
    model = shaken(dela())
    names = model.trunk()
    assert set(names) <= set(layers(model))
    seen: dict[str, tuple[int, ...]] = {}
    for name in names:
        layers(model)[name].register_forward_hook(lambda m, i, o, name=name: seen.update({name: tuple(o.shape[:3])}))
    with torch.no_grad():
        model(clouds(1), 2)
    assert set(seen) == set(names) and set(seen.values()) == {(2, 1, 64)}


def test_training_draws_from_the_generator_and_evaluation_draws_nothing() -> None:
    model = dela()

    def loss(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return model(clouds(), 1)

    assert torch.equal(loss(0), loss(0)) and not torch.equal(loss(0), loss(1))
    model.eval()
    assert torch.equal(loss(0), loss(1))


def test_evaluation_is_the_same_for_numpy_and_any_batch_size() -> None:
    model = shaken(dela())
    points = clouds(5).numpy()
    first = step_logits(model, points, 2, torch.device("cpu"), "fp32", 0)
    second = torch.cat([step_logits(model, part, 2, torch.device("cpu"), "fp32", 0) for part in np.split(points, 5)], 1)
    assert torch.allclose(first, second, atol=1e-4)


def test_the_second_task_by_hand() -> None:
    """A head that guesses 0 has the mean square of the scaled offsets as its loss; each level counts a third."""
    task = OffsetTask((4, 4, 4)).eval()
    for head in task.heads:
        for parameter in head[3].parameters():
            nn.init.zeros_(parameter)
    near = Neighborhood(torch.tensor([[[1], [0]]]), torch.tensor([[[0.0, 0, 0], [0.1, 0, 0.2]]]))
    squared = (40 * 0.1) ** 2 + (40 * 0.2) ** 2  # of either point's offset to the other
    expected = sum(squared / 3 / deviation**2 for deviation in (2.8, 5.3, 10.0)) / 3
    assert task([(torch.rand(1, 1, 2, 4), near)] * 3).item() == pytest.approx(expected, rel=1e-5)


def test_the_second_task_reaches_the_stream_and_its_weight_falls() -> None:
    model = dela()
    loss = OffsetLoss(model)
    config = TrainConfig(epochs=10)
    assert [offset_weight(config, done) for done in (0, 5, 10, 11)] == pytest.approx([1, 0.003**0.5, 0.003, 0.003])
    model(clouds(), 1)
    penalty = loss.take(2.0)
    assert isinstance(penalty, Tensor) and penalty.item() > 0 and loss.take(2.0) == 0.0
    penalty.backward()
    assert model.embeddings[0].first.weight.grad is not None
    model.eval()(clouds(), 1)
    assert loss.take(1.0) == 0.0
    assert OffsetLoss(nn.Linear(1, 1)).take(1.0) == 0.0


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    model = shaken(dela())
    config = TrainConfig(
        model=network_settings("dela", neuron=neuron_of("ternary"), width=0.05, neighbors=5, classes=4)
    )
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, checkpoints.Checkpoint(model.state_dict(), config, ("a", "b", "c", "d")))
    with torch.no_grad():
        assert torch.equal(checkpoints.network(checkpoints.load(path), path)(clouds(), 2), model(clouds(), 2))
