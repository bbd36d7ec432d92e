"""Early stopping: when a sample stops, that carried membranes give what a long run gives, and what stopping saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome
from PIL import Image
from torch import nn

from spikecli import models
from spikecli.datasets.clouds.store import PointClouds, load_points
from spikecli.errors import SpikeError
from spikecli.evaluation import metrics, stopping
from spikecli.evaluation.evaluate import evaluate
from spikecli.evaluation.how import How
from spikecli.evaluation.neurobench import in_lower_case
from spikecli.evaluation.step_scores import (
    StepScores,
    evaluate_steps,
    mean_confidences,
    results,
    saved,
    stopped,
)
from spikecli.evaluation.stopping import StopRule, answers, carried, runs_of, sure_probabilities
from spikecli.models import running
from spikecli.models.layers import BatchNorm
from spikecli.models.pointnet import PointNet
from spikecli.models.running import step_logits
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.settings.papers import PAPERS
from spikecli.view.runs.steps import save_steps, steps_figure
from spikecli.weights import checkpoint as checkpoints
from spikecli.weights.checkpoint import Checkpoint
from spikecli.weights.reparameterize import reparameterize
from spikecli.weights.trained import Trained

CPU = torch.device("cpu")
Cli = Callable[..., Outcome]


def clouds(count: int = 40, points: int = 12) -> PointClouds:
    rng = np.random.default_rng(0)
    names = tuple(str(n) for n in range(count))
    xyz = rng.normal(size=(count, points, 3)).astype(np.float32)
    return PointClouds(xyz, np.arange(count) % 4, names, ("a", "b", "c", "d"), "made-up", "test", "none")


def network(paper: str = "spiking-pointnet", tnet: str = "none", classes: int = 4, gain: float = 20.0) -> PointNet:
    """A network whose neurons fire and whose answers differ in how sure they are."""
    torch.manual_seed(0)
    model = models.build(network_settings(classes=classes, neuron=PAPERS[paper].neuron, tnet=tnet))
    assert isinstance(model, PointNet)
    with torch.no_grad():
        for _ in range(5):  # the running statistics come to where neurons fire
            model.train()(torch.from_numpy(clouds().points), 1)
        model.out.weight.mul_(gain)
    return model.eval()


def logits_of(*probabilities: list[float]) -> torch.Tensor:
    """Return mean logits (T, 1, 2) of one sample from the first class's probability after each step."""
    p = torch.tensor(probabilities, dtype=torch.float64).T[:, :, None]
    return torch.cat([p, 1 - p], -1).log()


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("paper", ["lif", "spiking-pointnet", "ternary", "mpbn", "ann"])
def test_seeds_are_repeated_where_they_make_a_difference_and_only_there(paper: str, folded: bool) -> None:
    model = reparameterize(network(paper)) if folded else network(paper)
    first, second = (step_logits(model, clouds().points, 2, CPU, "fp32", seed) for seed in (0, 1))
    assert runs_of(model, 3) == (1 if torch.equal(first, second) else 3)
    assert runs_of(model, 3) == (3 if paper == "spiking-pointnet" else 1)


def test_the_first_sure_step_ends_a_sample_by_hand() -> None:
    means = logits_of([0.95, 0.5, 0.5], [0.5, 0.05, 0.5], [0.6, 0.7, 0.8], [0.6, 0.7, 0.99])
    assert StopRule(0.9, 3).steps(means).tolist() == [1, 2, 3, 3]  # sure of the second class is sure
    assert StopRule(0.9, 2).steps(means).tolist() == [1, 2, 2, 2]
    assert StopRule(0.65, 3).steps(means).tolist() == [1, 2, 2, 2]
    assert StopRule(0, 3).steps(means).tolist() == [1, 1, 1, 1]


def test_a_confidence_of_one_is_never_reached_even_where_the_softmax_rounds_to_it() -> None:
    means = torch.tensor([60.0, 0.0]).expand(3, 1, 2)
    assert means.softmax(-1).max() == 1
    assert StopRule(1.0, 3).steps(means).tolist() == [3]
    assert StopRule(0.9, 3).steps(means).tolist() == [1]


@pytest.mark.parametrize("paper", [name for name in PAPERS if PAPERS[name].neuron is not None])
@pytest.mark.parametrize("tnet", ["none", "paper"])
def test_carried_membranes_give_what_a_long_run_gives(paper: str, tnet: str) -> None:
    model, data = network(paper, tnet), clouds()
    before = dict(model.named_modules())
    means = metrics.cumulative_mean(step_logits(model, data.points, 3, CPU, "fp32", 3))
    level = means[1].softmax(-1).amax(-1).quantile(0.5).item()
    for confidence in (level, 1.0):
        stop = StopRule(confidence, 3)
        expected = stop.steps(means)
        answer, taken = answers(model, data.points, stop, How(seed=3))
        assert taken.tolist() == expected.tolist()
        torch.testing.assert_close(answer, means[expected - 1, torch.arange(40)], atol=1e-4, rtol=1e-4)
    assert dict(model.named_modules()) == before


@pytest.mark.parametrize("shape", [(20, 3, 2, 9, 9), (20, 2, 9, 9)], ids=["frames", "images"])
@pytest.mark.parametrize("paper", ["lif", "mpbn", "spiking-pointnet"])
def test_frames_and_images_are_carried_on_as_points_are(paper: str, shape: tuple[int, ...]) -> None:
    model, inputs = maps_network(paper), np.random.default_rng(0).poisson(0.7, shape).astype(np.float32)
    if len(shape) == 4:
        inputs *= 60  # as pixels
    means = metrics.cumulative_mean(step_logits(model, inputs, 3, CPU, "fp32", 3))
    for confidence in (means[0].softmax(-1).amax(-1).quantile(0.5).item(), 1.0):
        stop = StopRule(confidence, 3)
        expected = stop.steps(means)
        answer, taken = answers(model, inputs, stop, How(seed=3))
        assert taken.tolist() == expected.tolist() and taken.max() == 3
        torch.testing.assert_close(answer, means[expected - 1, torch.arange(20)], atol=1e-4, rtol=1e-4)


def maps_network(paper: str) -> nn.Module:
    torch.manual_seed(0)
    config = network_settings(name="resnet20", neuron=PAPERS[paper].neuron, width=0.1, classes=4, inputs=2, size=(9, 9))
    model = models.build(config)
    for module in model.modules():
        if isinstance(module, BatchNorm):
            nn.init.constant_(module.bias, 0.45)
    with torch.no_grad():
        model.get_submodule("out").weight.mul_(20)  # type: ignore[operator, union-attr]
    return model.eval()


def test_an_interrupted_block_leaves_the_network_as_it_was() -> None:
    model = network()
    starts = [module.start for module in model.modules() if hasattr(module, "start")]
    with pytest.raises(KeyboardInterrupt), carried(model):
        raise KeyboardInterrupt
    assert [module.start for module in model.modules() if hasattr(module, "start")] == starts
    assert not any(part._forward_hooks for part in model.modules())


COSTS = ("energy", "neurobench", "information", "confusions")


@pytest.mark.parametrize(("confidence", "fixed"), [(0.0, 1), (1.0, 3)])
def test_auto_equals_fixed_steps_at_both_ends(confidence: float, fixed: int) -> None:
    model, data = network(), clouds()
    (row,) = evaluate(model, data, [fixed], How(2, 5))
    auto = stopped(model, data, StopRule(confidence, 3), How(2, 5))
    assert auto.mean_timesteps == fixed and auto.stopped_at[fixed - 1] == 1
    for name, value in asdict(row).items():
        if name not in ("timesteps", "seconds", "calibration", *COSTS):  # which are of a fixed number of steps
            assert asdict(auto)[name] == pytest.approx(value, rel=1e-6), name
    assert asdict(saved(auto, row)) == pytest.approx(
        {"timesteps": 0, "synaptic_operations": 0, "energy_uj": 0, "seconds": 1 - auto.seconds / row.seconds}, abs=1e-6
    )


def test_auto_lies_between_its_neighbors_and_counts_each_samples_own_steps() -> None:
    model, data = network(), clouds()
    means = metrics.cumulative_mean(step_logits(model, data.points, 4, CPU, "fp32", 0))
    stop = StopRule(means[1].softmax(-1).amax(-1).quantile(0.5).item(), 4)
    taken = stop.steps(means)
    scores = evaluate_steps(model, data, [1, 2, 3], stop, False, How())
    auto, rows = scores.auto, {row.timesteps: row for row in scores.rows}
    assert auto is not None and scores.saved is not None
    assert list(rows) == [1, 2, 3, 4]  # the most steps are beside it unasked
    assert auto.mean_timesteps == pytest.approx(taken.double().mean().item()) and 1 < auto.mean_timesteps < 4
    assert auto.stopped_at == tuple((taken == step).double().mean().item() for step in range(1, 5))
    right = means[taken - 1, torch.arange(40)].argmax(-1).numpy() == data.labels
    assert auto.instance_accuracy == pytest.approx(right.mean())
    low, high = rows[floor(auto.mean_timesteps)], rows[ceil(auto.mean_timesteps)]
    assert low.energy_uj < auto.energy_uj < high.energy_uj
    assert low.synaptic_operations < auto.synaptic_operations < high.synaptic_operations
    assert scores.saved.timesteps == pytest.approx(1 - auto.mean_timesteps / 4)
    assert scores.saved.energy_uj == pytest.approx(1 - auto.energy_uj / rows[4].energy_uj)


def test_the_mean_confidence_is_that_of_the_class_named() -> None:
    model, data = network(), clouds()
    logits = step_logits(model, data.points, 2, CPU, "fp32", 0)
    expected = [logits[:t].mean(0).softmax(-1).amax(-1).mean().item() for t in (1, 2)]
    assert mean_confidences(model, data, [1, 2], How()) == pytest.approx(expected, rel=1e-5)


def test_an_ann_has_no_dial() -> None:
    with pytest.raises(SpikeError, match="an ANN has no time steps"):
        stopped(network("ann"), clouds(), StopRule(), How())


def test_a_picture_has_three_charts_with_a_star_each(tmp_path: Path) -> None:
    scores = evaluate_steps(network(), clouds(), [1, 2], StopRule(0.7, 2), True, How())
    assert scores.auto is not None
    figure = steps_figure(scores, "dark")
    assert len(figure.axes) == 3
    heights = (scores.auto.instance_accuracy, scores.auto.energy_uj, 1e3 * scores.auto.seconds / 40)
    for axes, height in zip(figure.axes, heights, strict=True):
        star = next(line for line in axes.lines if line.get_marker() == "*")
        assert (star.get_xdata()[0], star.get_ydata()[0]) == (scores.auto.mean_timesteps, height)  # type: ignore[index]
    save_steps(tmp_path / "dial.png", StepScores(scores.rows, None, None, scores.confidences, scores.samples), "light")
    with Image.open(tmp_path / "dial.png") as image:
        assert image.width == pytest.approx(8.6 * 200, abs=2)


@pytest.fixture(scope="module")
def run(shapes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for the shapes that has learned nothing, which is of no matter here."""
    folder = tmp_path_factory.mktemp("run")
    names = load_points(shapes_dir, "shapes", "test").classnames
    config = TrainConfig(
        model=network_settings(classes=len(names), neuron=PAPERS["spiking-pointnet"].neuron, tnet="none"), points=64
    )
    state = network(classes=len(names)).state_dict()
    checkpoints.save(folder / "model.safetensors", Checkpoint(state, config, names))
    return folder


def test_eval_puts_auto_beside_fixed_steps(cli: Cli, shapes_dir: Path, run: Path, tmp_path: Path) -> None:
    common = ("--data-dir", shapes_dir, "--runs", 1)
    scores = ("--timesteps", "1,auto", "--most", 2, "--confidence", 0.6)
    done = cli("eval", run, *scores, "--figure", tmp_path / "dial.png", "--out", tmp_path / "t.csv", *common, "--json")
    assert done.code == 0, done.err
    rows = done.document["results"]
    assert [row["timesteps"] for row in rows] == [1, 2, "auto"]
    flat = set(in_lower_case([{"neurobench": rows[0]["neurobench"]}], done.document["neurobench"])[0])
    assert set(rows[2]) >= set(rows[0]) - {"mean_confidence", *COSTS} - flat
    assert (rows[2]["confidence"], rows[2]["most"]) == (0.6, 2) and 1 < rows[2]["mean_timesteps"] < 2
    assert set(rows[2]["saved"]) == {"timesteps", "synaptic_operations", "energy_uj", "seconds"}
    assert 0 < rows[0]["mean_confidence"] < 1
    assert (tmp_path / "dial.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith("timesteps,instance_accuracy,") and [line.split(",")[0] for line in lines[1:]] == [
        "1", "2", "auto",
    ]  # fmt: skip
    shown = cli("eval", run, "--timesteps", "auto", "--most", 2, *common, "--quiet")
    assert "auto" in shown.out and "of at most 2 on average" in " ".join(shown.out.split())


def test_stopping_and_fixed_steps_pass_as_many_samples_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start is drawn for a whole pass, so both draw the same only for the same number of samples."""
    points = np.random.default_rng(0).normal(size=(7, 16, 3)).astype(np.float32)
    model = network("spiking-pointnet", classes=4).eval()
    for size in (3, 7):
        for module in (running, stopping):
            monkeypatch.setattr(module, "samples_at_a_time", lambda inputs, device, size=size: size)
        fixed = step_logits(model, points, 3, CPU, "fp32", 5).mean(0)
        never = answers(model, points, StopRule(1.0, 3), How(seed=5))[0]
        torch.testing.assert_close(never, fixed, atol=1e-5, rtol=0)


def test_a_network_that_draws_nothing_is_asked_once(cli: Cli, shapes_dir: Path, tmp_path: Path) -> None:
    names = load_points(shapes_dir, "shapes", "test").classnames
    config = TrainConfig(
        model=network_settings(classes=len(names), neuron=PAPERS["lif"].neuron, tnet="none"), points=64, paper="lif"
    )
    state = network("lif", classes=len(names)).state_dict()
    checkpoints.save(tmp_path / "model.safetensors", Checkpoint(state, config, names))
    shown = cli("eval", tmp_path / "model.safetensors", "--timesteps", 1, "--data-dir", shapes_dir, "--quiet")
    assert shown.code == 0 and "±" not in shown.out and "the same for every seed" in " ".join(shown.out.split())


def test_predict_says_how_many_steps_each_file_took(cli: Cli, shapes_dir: Path, run: Path) -> None:
    files = sorted((shapes_dir / "shapes" / "raw").rglob("*.off"))[:6]
    done = cli("predict", run, *files, "--timesteps", "auto", "--most", 3, "--confidence", 0.6, "--json")
    assert done.code == 0, done.err
    from spikecli.datasets.clouds.formats import load_points_of

    points = np.stack([load_points_of(file, 64, seed=0) for file in files])
    chances, steps = sure_probabilities(Trained.open(run), points, StopRule(0.6, 3), 0)  # predict's device
    assert [answer["timesteps"] for answer in done.document] == steps
    for answer, row in zip(done.document, chances, strict=True):
        assert answer["predictions"][0]["probability"] == pytest.approx(row.max(), abs=1e-6)
    table = cli("predict", run, files[0], "--timesteps", "auto", "--most", 3, "--confidence", 1)
    assert "3.00 of at most 3 time steps on average, 0% of the steps saved" in " ".join(table.out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("eval", "--timesteps", "1,auot"), "wanted whole numbers such as 1,2,4, or auto"),
        (("eval", "--figure", "dial.gif"), "name a file that ends in one of .png, .svg, .pdf"),
        (("predict", "--timesteps", "1,2"), "wanted one number, or auto"),
        (("predict", "--timesteps", "1,auto"), "wanted one number, or auto"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    cli: Cli, shapes_dir: Path, run: Path, arguments: tuple[str, ...], said: str
) -> None:
    command, *rest = arguments
    files = [run / "no.off"] if command == "predict" else []
    refused = cli(command, run, *files, *rest, "--data-dir", shapes_dir, "--quiet")
    assert refused.code == 1 and said in refused.err and refused.err.count("\n") == 1


def test_results_hold_what_was_asked_for_and_no_more() -> None:
    plain = evaluate_steps(network(), clouds(), [1], None, False, How())
    assert plain.auto is None and plain.all_rows == plain.rows
    row = asdict(plain.rows[0])
    shares = dict(zip("abcd", row.pop("by_class"), strict=True))
    told = [{"class": "abcd"[a], "predicted": "abcd"[b], "samples": n} for a, b, n in row.pop("confusions")]
    assert row.pop("calibration") is not None  # a curve, which has its own key in the document
    assert results(plain) == [row]
    assert results(plain, "abcd") == [{**row, "by_class": shares, "confusions": told}]
