"""`spikecli bench`: what it counts, and what it prints; how fast this machine is, no test asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import forks
import pytest
import torch
from torch import nn

from spikecli import models
from spikecli.models.layers import FireThenMax, LinearNorm, MaxThenNorm, NormThenMax, PointLinearNorm
from spikecli.models.work import Product, moved, multiply_adds, necessary
from spikecli.neurons import ReLU
from spikecli.settings.config import network_settings
from spikecli.settings.papers import neuron_of
from spikecli.speed import bench, roofline
from spikecli.speed.floor import Floor
from spikecli.speed.peak import peak_above_imports
from spikecli.speed.roofline import Rates, rates_of

CPU = torch.device("cpu")


def forward_count(tnet: str, points: int, timesteps: int) -> int:
    """Return the multiply-adds of one cloud's way through the PointNet."""
    model = models.build(network_settings(neuron=neuron_of("spiking-pointnet"), tnet=tnet)).eval()
    with torch.inference_mode(), necessary(model) as products:
        model(torch.rand(1, points, 3), timesteps)
    return multiply_adds(products)


def head(outputs: int) -> int:
    return 1024 * 512 + 512 * 256 + 256 * outputs


@pytest.mark.parametrize("tnet", ["pooled", "paper"])
def test_a_cloud_takes_what_the_papers_layers_take(tnet: str) -> None:
    points = 1024
    stack = 64 * 128 + 128 * 1024
    a_point = (3 * 64 + stack) + 3 * 3 + 3 * 64 + (64 * 64 + stack) + 64 * 64 + stack
    expected = points * a_point + head(9) + head(4096) + head(10)
    assert forward_count(tnet, points, 1) == expected
    assert round(expected / 1e9, 2) == 0.44
    assert 3 * points * 128 * 1024 / expected == pytest.approx(0.92, abs=0.005)  # in three layers out of seventeen


def test_what_comes_before_the_first_neuron_is_counted_once_for_all_steps() -> None:
    once, thrice = forward_count("none", 32, 1), forward_count("none", 32, 3)
    first = 32 * 3 * 64
    assert thrice - first == 3 * (once - first)


def products_of(layer: nn.Module, x: torch.Tensor, *arguments: int) -> list[Product]:
    with necessary(nn.Sequential(layer)) as products:
        layer(x, *arguments)
    return products


def test_a_training_step_of_a_plain_layer_takes_three_products_and_the_first_layer_two() -> None:
    x = torch.rand(1, 2, 5, 3)  # ten rows
    first = products_of(PointLinearNorm(3, 4), x)
    assert first == [Product(10, 3, 4), Product(4, 10, 3, over_samples=True)]
    inner = products_of(LinearNorm(3, 4), x.requires_grad_())
    assert multiply_adds(inner) == 3 * 10 * 3 * 4


def test_a_pooled_layer_takes_its_tiles_and_the_covariance_alone() -> None:
    x = torch.rand(2, 3, 5, 4, requires_grad=True)  # 2 steps, 3 clouds, 5 points, 4 channels
    tiles = Product(5, 4, 16, count=6)
    covariance = [Product(4, 30, 4, over_samples=True), Product(30, 4, 4)]
    assert products_of(NormThenMax(4, 16), x) == [tiles, *covariance]
    assert products_of(FireThenMax(4, 16, PlainReLU()), x, 2) == [tiles, *covariance]
    assert products_of(MaxThenNorm(4, 16, ReLU()), x, 2) == [tiles]
    with torch.no_grad():
        assert products_of(NormThenMax(4, 16), x) == [tiles]


class PlainReLU(ReLU):
    separable = True


def test_the_hooks_are_gone_afterwards() -> None:
    layer = PointLinearNorm(3, 4)
    assert products_of(layer, torch.rand(1, 2, 5, 3))
    assert not layer._forward_hooks


def test_the_floor_makes_the_products_that_were_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def mm(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
        assert out.shape == (left.shape[0], right.shape[1])
        made.append(left.shape[0] * left.shape[1] * right.shape[1])

    products = [Product(5, 4, 16, count=6), Product(4, 30, 4, over_samples=True)]
    floor = Floor(products, torch.bfloat16, CPU)
    monkeypatch.setattr(torch, "mm", mm)
    floor.run()
    assert made == [5 * 4 * 16] * 6 + [4 * 30 * 4]
    assert sum(made) == multiply_adds(products)


def test_the_roofline_is_the_longer_of_two_times_by_hand() -> None:
    products = [Product(5, 4, 16, count=6), Product(4, 30, 4, over_samples=True)]
    assert moved(products, 2) == 2 * (6 * 5 * 4 + 4 * 16 + 4 * 30 + 30 * 4)
    rates = Rates(multiply_adds=100.0, bytes=10.0)
    assert rates.least(300, 20) == 3 and rates.least(300, 50) == 5


def test_rates_are_those_of_a_product_and_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([9.0, 2.0, 1.0, 3.0, 9.0, 4.0, 6.0, 5.0])  # the first of each warms up

    def clock(work: Callable[[], object], device: torch.device) -> float:
        work()
        return next(seconds)

    monkeypatch.setattr(roofline, "timed", clock)
    monkeypatch.setattr(roofline, "SIDE", {"cpu": 8})
    monkeypatch.setattr(roofline, "COPIED", {"cpu": 1000})
    assert rates_of(torch.float32, CPU) == Rates(8**3 / 2, 2 * 1000 / 5)


def hold(megabytes: int) -> None:
    """Have that much memory for a moment, all of it touched."""
    bytearray(os.urandom(1) * (megabytes * 10**6))


def test_peak_memory_is_that_of_the_work_and_not_of_the_parent() -> None:
    here = torch.ones(100_000_000)  # 400 MB: a child that inherited its parent's peak would show no more than 0
    assert 45 < peak_above_imports(hold, 50, device=CPU) < 140
    assert here.sum() == 100_000_000


def in_this_process(work: Callable[..., None], *arguments: object, device: torch.device) -> float:
    work(*arguments)
    return 1.5


def test_the_command_prints_a_row_for_each_case_with_its_floor(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "peak_above_imports", in_this_process)
    monkeypatch.setattr(bench, "rates_of", lambda kind, device: Rates(1e9, 1e8))
    threads = torch.get_num_threads()
    line = "bench --batch-size 2 --points 16 --repeats 1 --timesteps 1 --precision bf16 --tnet pooled --threads 1"
    outcome = cli(*line.split(), "--device", "cpu", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert {key: document[key] for key in ("device", "threads", "batch_size", "points", "tnet", "repeats")} == {
        "device": "cpu", "threads": 1, "batch_size": 2, "points": 16, "tnet": "pooled", "repeats": 1,
    }  # fmt: skip
    rows = document["results"]
    assert [(row["network"], row["work"], row["timesteps"], row["precision"]) for row in rows] == [
        (network, work, 1, "bf16") for network in ("SNN", "ANN") for work in ("training", "inference")
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["seconds"] / row["floor_seconds"])
        assert row["roofline_seconds"] == pytest.approx(max(row["multiply_adds"] / 1e9, row["bytes"] / 1e8))
        assert row["bytes"] % 2 == 0  # of bfloat16
        assert row["peak_memory_mb"] == (1.5 if row["work"] == "training" else None)
    assert rows[0]["multiply_adds"] == rows[2]["multiply_adds"] > rows[1]["multiply_adds"] > 2 * 16 * 400_000
    path = document["data_path"]
    assert path["ratio"] == pytest.approx(path["real_seconds"] / path["reused_seconds"])
    assert torch.get_num_threads() == threads


def test_each_case_is_told_of_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "peak_above_imports", lambda *arguments, device: 1.0)
    plan = bench.BenchPlan(2, 16, (1, 2), ("fp32",), 2, "none", CPU)
    told: list[str] = []
    rows, path = bench.measure(plan, told.append)
    assert len(told) == plan.rounds == 6 * 2 + 3 + 2
    assert [row.timesteps for row in rows] == [1, 1, 2, 2, 1, 1]  # the ANN once, at its one step
    assert path.precision == "fp32"


@pytest.mark.parametrize(
    ("option", "value", "code"),  # a wrong choice is usage
    [("--precision", "fp16", 2), ("--timesteps", "0", 1), ("--tnet", "odd", 2), ("--batch-size", "1", 2)],
)
def test_a_setting_that_cannot_be_is_named(cli: Callable, option: str, value: str, code: int) -> None:
    outcome = cli("bench", option, value)
    assert outcome.code == code
    assert value in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library of Linux alone keeps and returns")
def test_memory_between_tensors_that_live_on_goes_back_to_the_system() -> None:
    code = """if True:
        import torch
        from pathlib import Path
        from spikecli.machine.device import keep_freed_memory, return_freed_memory
        pages = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
        keep_freed_memory()
        blocks = [torch.ones(2**20) for _ in range(100)]
        del blocks[::2]
        before = pages()
        return_freed_memory()
        print(before - pages(), sum(block.sum().item() for block in blocks))
    """
    done = forks.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, fresh=True)
    returned, total = map(float, done.stdout.split())
    assert returned > 45 * 4 * 2**20 and total == 50 * 2**20


def test_memory_stays_flat_when_every_step_has_another_shape() -> None:
    code = """if True:
        import torch
        from spikecli.machine.device import choose_device, peak_memory
        device, weights = choose_device("cpu"), torch.ones(64, 64, dtype=torch.bfloat16)
        def products(shapes):
            for rows in shapes:
                torch.nn.functional.linear(torch.ones(rows, 64, dtype=torch.bfloat16), weights)
            return peak_memory(device)
        first = products(range(100, 300))
        print(products(range(300, 1100)) - first)
    """
    environment = {name: value for name, value in os.environ.items() if not name.endswith("CACHE_CAPACITY")}
    line = [sys.executable, "-c", code]
    done = forks.run(line, capture_output=True, text=True, check=True, env=environment, fresh=True)
    assert float(done.stdout) < 100  # MB; it was 500 with the caches of torch
