"""What a GPU needs of training, held without one: no step waits for a number, backends agree, graphs change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cloud_runs import fit, settings
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from spikecli.machine import device
from spikecli.models import pooled
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import map_size, network_settings
from spikecli.settings.papers import PAPERS, neuron_of
from spikecli.training import captured, feeds, train
from spikecli.training.batches import Batches
from spikecli.training.device_augment import ON_DEVICE, roll, shift, thinned_size
from spikecli.training.optimizer_state import MOMENTS, moments_of
from spikecli.training.step import LOSS, SOUND, TrainStep

CPU = torch.device("cpu")
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "item", "equal", "lift_fresh", "masked_select", "unique")


class NoWaiting(TorchDispatchMode):
    """Refuses whatever makes the host wait for a GPU, or brings a number of the host to it."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function.overloadpacket.__name__
        indices = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        masks = [one for one in indices if isinstance(one, Tensor) and one.dtype in (torch.bool, torch.uint8)]
        if name.startswith(WAITS) or masks:
            raise AssertionError(f"a step calls {function}, for which a GPU's host waits")
        return function(*arguments, **(options or {}))


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the CPU take the GPU's way through the layers that have two."""
    monkeypatch.setitem(pooled.BACKENDS, "cpu", pooled._ON_GPU)
    yield


def samples(config: TrainConfig, count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    if "points" in config.model.takes:
        inputs: np.ndarray = rng.uniform(-1, 1, (count, config.points, 3)).astype(np.float32)
    else:
        inputs = rng.integers(0, 3, (count, config.timesteps, 2, *map_size(config.model))).astype(np.uint8)
    return inputs, rng.integers(0, config.model.classes, count)


def pointnet(paper: str = "spiking-pointnet", tnet: str = "none", **changes: Any) -> TrainConfig:
    model = network_settings(neuron=neuron_of(paper), tnet=tnet)
    values = {"paper": paper, "model": model, "points": 32, "batch_size": 4, "augment": "paper", **changes}
    return TrainConfig.model_validate(values)


def dela(paper: str, **changes: Any) -> TrainConfig:
    model = network_settings("dela", neuron=neuron_of(paper), width=0.05, neighbors=4)
    values = {"paper": paper, "model": model, "points": 32, "batch_size": 4, "augment": "stretch", **changes}
    return TrainConfig.model_validate(values)


def on_frames(name: str, **changes: Any) -> TrainConfig:
    network = {"inputs": 2, "size": (16, 16), "width": 0.125, "batch_norm": "tdbn", **changes}
    model = network_settings(name, neuron=neuron_of("lif"), **network)
    return TrainConfig(paper="lif", model=model, batch_size=4, timesteps=2, augment="flip-roll")


class Made:
    """A step with its feed and whatever they need."""

    def __init__(self, config: TrainConfig, resident: bool = True) -> None:
        from spikecli import models
        from spikecli.training import schedule

        torch.manual_seed(config.seed)
        self.model = models.build(config.model).train()
        self.optimizer = schedule.optimizer(config, self.model)
        batches = Batches(*samples(config), config, CPU)
        self.feed: Any = feeds.ResidentFeed(batches) if resident else feeds.HostFeed(batches)
        self.step = TrainStep(config, self.model, self.optimizer, CPU)
        self.step.prepare(1e-2, 0.5)
        self.run = captured.Eager(self.work, CPU)

    def work(self, shape: Any) -> Tensor:
        return self.step(*self.feed.make(shape))

    def weights(self) -> list[Tensor]:
        return [*self.model.parameters(), *self.model.buffers()]


CASES = {
    **{paper: pointnet(paper) for paper in PAPERS if paper not in ("joint",)},
    "T-Nets": pointnet(tnet="pooled", augment="thin", precision="bf16"),
    "T = 2": pointnet("ternary", timesteps=2, augment="mirror", optimizer="sgd"),
    "RMP": pointnet("lif", rmp_weight=0.5, timesteps=2, optimizer="adamw", decayed="weights"),
    "dela": dela("ternary", precision="bf16", optimizer="adamw", decayed="weights"),
    "dela, T = 2": dela("integer", timesteps=2),
    "resnet20": on_frames("resnet20"),
    "vgg16": on_frames("vgg16"),
    "joint": on_frames("resnet20", joint=True),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("as_on_a_gpu")
def test_no_step_waits_for_a_number(case: str) -> None:
    made = Made(CASES[case])
    shape = made.feed.load(0, 0)
    before = made.model.state_dict()["out.weight"].clone() if "out.weight" in made.model.state_dict() else None
    made.work(shape)  # the optimizer's state is made in the first step
    with NoWaiting():
        row = made.work(shape)
    assert row[SOUND] == 1 and row[LOSS] > 0
    assert before is None or not torch.equal(before, made.model.state_dict()["out.weight"])


class InOrder(TorchDispatchMode):
    """Refuses what a GPU adds up by atomic additions, in another order each run."""

    RACES = (
        "scatter_add", "scatter_reduce", "index_add", "index_reduce", "embedding_dense_backward", "bincount", "histc",
        "put", "cumsum", "adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "avg_pool3d_backward",
        "max_pool2d_with_indices_backward", "grid_sampler", "reflection_pad", "replication_pad", "kthvalue", "median",
    )  # fmt: skip

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name.lstrip("_").startswith(self.RACES) or (name.startswith("upsample") and name.endswith("backward")):
            raise AssertionError(f"a step calls {function}, whose sums have no fixed order on a GPU")
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("dela")])  # its kernels are its own
@pytest.mark.usefixtures("as_on_a_gpu")
def test_no_step_adds_up_in_another_order_each_run(case: str) -> None:
    made = Made(CASES[case])
    shape = made.feed.load(0, 0)
    with InOrder():
        assert made.work(shape)[SOUND] == 1


def test_the_mode_sees_sums_without_an_order() -> None:
    """As the way of a CPU through the pooled layer is."""
    made = Made(pointnet())
    shape = made.feed.load(0, 0)
    with pytest.raises(AssertionError, match=r"index_add_.* no fixed order"), InOrder():
        made.work(shape)


@pytest.fixture
def loose_flags() -> Iterator[list[tuple[Any, str, bool]]]:
    """Set torch's flags of a GPU to what is fast; yield them with the values that the program wants."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: list[tuple[Any, str, bool]] = [(cudnn, "allow_tf32", False), (products, "allow_tf32", False)]
    wanted += [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    before = [getattr(place, name) for place, name, _ in wanted]
    for place, name, value in wanted:
        setattr(place, name, not value)
    yield wanted
    for (place, name, _), value in zip(wanted, before, strict=True):
        setattr(place, name, value)


def test_float32_on_a_gpu_is_float32_and_in_a_fixed_order(
    loose_flags: list[tuple[Any, str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)  # as if there were a GPU
    assert device.choose_device("cuda") == torch.device("cuda")
    assert [getattr(place, name) for place, name, _ in loose_flags] == [value for *_, value in loose_flags]


def test_the_mode_sees_what_waits() -> None:
    x = torch.ones(3)
    for wait in (lambda: float(x.sum()), lambda: x.nonzero(), lambda: x[x > 0], lambda: x.new_tensor(1.0)):
        with pytest.raises(AssertionError, match="waits"), NoWaiting():
            wait()


def both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what `call` gives on the CPU's backend and on the GPU's."""
    return call(), _on_gpu(call)


def _on_gpu(call: Callable[[], Any]) -> Any:
    pooled.BACKENDS["cpu"], kept = pooled._ON_GPU, pooled.BACKENDS["cpu"]
    try:
        return call()
    finally:
        pooled.BACKENDS["cpu"] = kept


@pytest.mark.parametrize("tile", [1, 2**28])  # a cloud at a time, and all at once
def test_both_backends_of_the_pooled_layer_agree_with_their_gradients(
    tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "TILE_BYTES", tile)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 37, 5, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(11, 5, generator=generator, dtype=torch.float64).requires_grad_()
    gradient = torch.randn(2, 3, 11, generator=generator, dtype=torch.float64)

    def values_and_gradients() -> list[Tensor]:
        values = pooled.linear_max(x, weight)
        with torch.no_grad():
            assert torch.allclose(pooled.linear_max(x, weight), values)
        return [values, *torch.autograd.grad(values, (x, weight), gradient), pooled.linear_winners(x, weight)]

    for one, other in zip(*both(values_and_gradients), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert _on_gpu(lambda: torch.autograd.gradcheck(pooled.linear_max, (x, weight)))


def test_a_step_that_is_not_finite_changes_nothing_and_neither_do_those_after_it() -> None:
    made = Made(pointnet())
    made.run(made.feed.load(0, 0), 1)
    inputs, labels = made.feed.make(made.feed.load(0, 1))
    weights = [parameter.clone() for parameter in made.model.parameters()]
    moments = [value.clone() for state in made.optimizer.state.values() for value in state.values()]
    assert made.step(inputs * float("nan"), labels)[SOUND] == 0
    assert made.step(inputs, labels)[SOUND] in (0, 1)  # running statistics may be lost; weights are not
    now = [value for state in made.optimizer.state.values() for value in state.values()]
    assert all(map(torch.equal, weights, made.model.parameters())) and all(map(torch.equal, moments, now))


@pytest.mark.parametrize("config", [pointnet(tnet="pooled"), pointnet("mpbn", optimizer="sgd"), on_frames("resnet20")])
def test_warming_up_leaves_no_trace(config: TrainConfig) -> None:
    plain, warm = Made(config), Made(config)
    kept = captured.Kept(warm.step)
    for _ in range(3):
        warm.run(warm.feed.load(0, 2), 9)
    kept.restore()
    for step in range(3):
        rows = [made.run(made.feed.load(0, step), step) for made in (plain, warm)]
        assert torch.equal(*rows)
        if step == 1:  # once more in the middle of a run, as when another size is recorded
            kept = captured.Kept(warm.step)
            warm.run(warm.feed.load(0, 0), 9)
            kept.restore()
    assert all(map(torch.equal, plain.weights(), warm.weights()))


class FakeGraph:
    """In a CUDA graph's place: a replay makes the work again on the tensors that stay where they are."""

    def __init__(self, replay: Callable[[], None]) -> None:
        self.replay = replay


def test_replayed_steps_are_the_eager_ones_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, graphs = Made(pointnet(augment="thin")), Made(pointnet(augment="thin"))
    replayed = captured.Captured.__new__(captured.Captured)
    replayed._work, replayed._step, replayed._graphs = graphs.work, graphs.step, {}
    replayed._row, replayed._gave_up, replayed.device = torch.zeros(4, dtype=torch.float64), False, CPU
    made: list[Any] = []

    def capture(shape: Any) -> FakeGraph:
        made.append(shape)
        return FakeGraph(lambda: replayed._row.copy_(graphs.work(shape)))

    monkeypatch.setattr(replayed, "_capture", capture)
    monkeypatch.setattr(replayed, "_warm_up", lambda shape: [graphs.work(shape) for _ in range(3)])
    for epoch in range(2):
        for step in range(4):
            first = plain.run(plain.feed.load(epoch, step), 10 * epoch + step)
            assert torch.equal(first, replayed(graphs.feed.load(epoch, step), 10 * epoch + step))
    assert all(map(torch.equal, plain.weights(), graphs.weights()))
    assert len(made) == len(set(made)) > 1  # a graph a size

    def refuse(shape: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(replayed, "_capture", refuse)
    ended: list[torch.device] = []
    monkeypatch.setattr(captured, "_end_capture", ended.append)
    replayed._graphs.clear()
    with pytest.warns(UserWarning, match="without CUDA graphs, and slower: operation not permitted when stream is"):
        second = replayed(graphs.feed.load(2, 0), 5)
    assert torch.equal(plain.run(plain.feed.load(2, 0), 5), second)
    replayed(graphs.feed.load(2, 1), 6)  # says so once
    assert ended == [graphs.step.device]  # the generator waits for no recording any more


def test_a_feed_on_the_device_hands_out_the_hosts_samples(tmp_path: Path) -> None:
    config = pointnet(augment="none")
    host, device = Made(config, resident=False), Made(config)
    for epoch, step in ((0, 0), (0, 3), (1, 2)):
        for one, other in zip(*(made.feed.make(made.feed.load(epoch, step)) for made in (host, device)), strict=True):
            assert torch.equal(one, other)
    frames = on_frames("resnet20").model_copy(update={"augment": "none"})
    host, device = Made(frames, resident=False), Made(frames)
    one, other = (made.feed.make(made.feed.load(0, 1))[0] for made in (host, device))
    assert torch.equal(one, other) and one.shape == (2, 4, 2, 16, 16)


def test_augmentations_on_the_device_have_the_distributions_of_the_hosts() -> None:
    torch.manual_seed(0)
    points = torch.rand(200, 64, 3) + 1
    overwritten = ON_DEVICE["paper"](points, 0)
    copies = (overwritten == overwritten[:, :1]).all(2).float().mean(1)
    assert copies.mean().item() == pytest.approx(0.875 / 2, abs=0.05) and copies.max() > 0.8
    ratio = ON_DEVICE["mirror"](points, 0)[:, 0] / points[:, 0]
    assert (ratio[:, 2] > 0).all() and (ratio[:, :2] < 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    thinned = ON_DEVICE["thin"](points, 24)
    assert thinned.shape == (200, 24, 3)
    rng = np.random.default_rng(0)
    sizes = {thinned_size(np.empty((1, 1024, 3)), rng) for _ in range(300)}
    assert sizes == {128 * each for each in range(1, 9)}
    frames = torch.arange(2 * 3 * 2 * 24 * 12).view(2, 3, 2, 24, 12) + 1
    rolled, shifted = roll(frames), shift(frames)
    assert any(torch.equal(rolled[0], frames[0].roll((y, x), (-2, -1))) for y in range(-5, 6) for x in range(-5, 6))
    moves = [(y, x) for y in range(-2, 3) for x in range(-1, 2)]  # 5/48 of 24 and of 12
    bordered = torch.nn.functional.pad(frames[0], (1, 1, 2, 2))
    assert any(torch.equal(shifted[0], bordered[..., 2 - y : 26 - y, 1 - x : 13 - x]) for y, x in moves)


def test_an_optimizers_state_goes_to_its_parameters_device(tmp_path: Path) -> None:
    parameter = torch.empty(3, device="meta")  # stands in for a GPU
    found = {f"optimizer/a/{key}": torch.ones(3) for key in ("exp_avg", "exp_avg_sq")}
    found["optimizer/a/step"] = torch.ones(())
    state = moments_of(tmp_path, "a", parameter, found, MOMENTS["adam"])
    assert {value.device.type for value in state.values()} == {"meta"} and len(state) == 3


def test_several_steps_at_a_time_draw_the_curve_of_single_ones(
    shapes_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = fit(settings(epochs=1), shapes_dir, tmp_path / "single")
    monkeypatch.setattr(train, "next_pace", lambda *_: 4)
    together = fit(settings(epochs=1), shapes_dir, tmp_path / "together")
    assert [epoch.loss for epoch in single] == [epoch.loss for epoch in together]
