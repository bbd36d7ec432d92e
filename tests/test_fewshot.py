"""Few-shot: the draw, the fit, the choice on held-out shots, and the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import prepare_recordings, random_mini
from torch.nn import functional

from spikecli.datasets.events.split import load_events
from spikecli.errors import SpikeError
from spikecli.files import tensors
from spikecli.neuroclip import fewshot, fitting
from spikecli.neuroclip.adapted import classify, open_adapter, open_any
from spikecli.neuroclip.clip import load_clip
from spikecli.neuroclip.features import Viewing
from spikecli.neuroclip.fewshot import Task, draw_shots, draws, mean_and_std, save_adapter
from spikecli.neuroclip.fitting import Fitting, accuracy, fit, select, zero_shot_accuracy
from spikecli.neuroclip.zeroshot import ask_about
from spikecli.progress import Progress
from spikecli.weights.adapted import Adapted
from spikecli.weights.checkpoint import read

Cli = Callable[..., Any]
SHORT = Fitting(epochs=30)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare_recordings(tmp_path_factory.mktemp("data"))
    random_mini(folder / "mini.safetensors")
    return folder


@pytest.fixture(scope="module")
def task(data_dir: Path) -> Task:
    clip = load_clip(random_mini(data_dir / "mini.safetensors"), torch.device("cpu"))
    train, test = (load_events(data_dir, "nmnist", split) for split in ("train", "test"))
    return Task(train, test, clip, Viewing(timesteps=3), ask_about("nmnist", None, None), data_dir)


def clusters(samples: int, classes: int = 4, steps: int = 5, dim: int = 32) -> tuple[torch.Tensor, ...]:
    """Return features (1, S, T, D), labels and texts that say nothing of each other, but classes lie apart."""
    generator = torch.Generator().manual_seed(0)
    centers = 2 * torch.randn(classes, 1, dim, generator=generator)
    labels = torch.arange(samples) % classes
    features = centers[labels] + torch.randn(samples, steps, dim, generator=generator)
    return features[None], labels, functional.normalize(torch.randn(classes, dim, generator=generator), dim=1)


def test_shots_are_of_every_class_drawn_from_the_seed_and_nested() -> None:
    labels = np.repeat(np.arange(3), 10)
    four, again, other = (draw_shots(labels, 4, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.bincount(labels[four]).tolist() == [4, 4, 4] and len(set(four.tolist())) == 12
    assert (four == again).all() and (four != other).any()
    assert set(draw_shots(labels, 2, np.random.default_rng(0))) <= set(four)
    with pytest.raises(SpikeError, match="found 10 training recordings of class 0; wanted 11; lower shots"):
        draw_shots(labels, 11, np.random.default_rng(0))


@pytest.mark.parametrize("adapter", ["spiking", "relu"])
def test_an_adapter_learns_what_the_words_do_not_say(adapter: str) -> None:
    views, labels, texts = clusters(64)
    asked = Fitting(adapter=adapter, epochs=60, lr=0.05)
    fitted = fit(views, labels, texts, 20.0, asked, seed=0)
    assert zero_shot_accuracy(views[0], labels, texts, 20.0) < 0.6
    assert accuracy(fitted, views[0], labels, texts, 20.0) > 0.9


def test_no_adapter_leaves_zero_shot_on_features_as_they_are() -> None:
    views, labels, texts = clusters(64)
    views = functional.normalize(views, dim=-1)
    nothing = fit(views, labels, texts, 20.0, Fitting(adapter="none"), seed=0)
    assert list(nothing.parameters()) == []
    assert accuracy(nothing, views[0], labels, texts, 20.0) == zero_shot_accuracy(views[0], labels, texts, 20.0)


def test_a_fit_is_of_its_seed_and_leaves_the_global_draws_alone() -> None:
    views, labels, texts = clusters(33)  # a last batch of one would have no statistics
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    epochs: list[int] = []
    first = fit(views, labels, texts, 20.0, replace(SHORT, epochs=3), 1, epochs.append)
    assert torch.equal(torch.rand(3), expected) and epochs == [1, 1, 1]
    again, other = (fit(views, labels, texts, 20.0, replace(SHORT, epochs=3), seed) for seed in (1, 2))
    assert torch.equal(first.up.weight, again.up.weight) and not torch.equal(first.up.weight, other.up.weight)


def test_the_rate_warms_up_for_one_epoch_and_goes_down_a_cosine() -> None:
    rates = [fitting._rate(epoch, Fitting(epochs=100)) for epoch in range(100)]
    assert rates[0] == 1e-5 and rates[50] == pytest.approx(0.005) and rates[1] == max(rates)
    assert rates[1:] == sorted(rates[1:], reverse=True)


def test_settings_are_chosen_on_held_out_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    views, labels, texts = clusters(16)
    seen: list[int] = []

    def watched(some: torch.Tensor, *rest: Any) -> torch.nn.Module:
        seen.append(some.shape[1])
        return fit(some, *rest[:3], replace(rest[3], epochs=1), *rest[4:])

    monkeypatch.setattr(fitting, "fit", watched)
    chosen = select(views, labels, texts, 20.0, Fitting(), 0)
    assert set(seen) == {12}  # of four shots a class, one is held out
    assert chosen.epochs in (50, 150) and chosen.blend in (0.2, 0.4, 0.6, 0.8)
    with pytest.raises(SpikeError, match="found one shot a class, none of which can be held out"):
        select(views[:, :4], labels[:4], texts, 20.0, Fitting(), 0)


def test_runs_share_the_test_recordings_and_differ_in_their_shots(task: Task) -> None:
    runs = list(draws(task, replace(SHORT, epochs=2), shots=2, runs=2, views=1))
    assert [run.samples for run in runs] == [20, 20]
    assert runs[0].zero_shot_accuracy == runs[1].zero_shot_accuracy
    first, second = (run.adapter.state_dict()["up.weight"] for run in runs)
    assert not torch.equal(first, second)


def test_shots_help_where_the_words_do_not(task: Task) -> None:
    (run,) = draws(task, replace(SHORT, epochs=60, lr=0.05), shots=4, runs=1, views=0)
    assert run.instance_accuracy > run.zero_shot_accuracy + 0.2


def test_a_mirrored_digit_is_no_digit(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    flips: list[bool] = []
    monkeypatch.setattr(fewshot, "Twist", lambda number, seed, flip: flips.append(flip))
    list(draws(task, replace(SHORT, epochs=1), shots=1, runs=1, views=2))
    assert flips == [False, False]


def test_mean_and_deviation() -> None:
    assert mean_and_std([0.5]) == (0.5, None)
    assert mean_and_std([0.4, 0.6]) == pytest.approx((0.5, np.sqrt(0.02)))


def test_an_adapter_is_kept_and_used_again(task: Task, data_dir: Path, tmp_path: Path) -> None:
    (run,) = draws(task, replace(SHORT, epochs=2), shots=2, runs=1, views=0)
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, run, task, "mini", str(data_dir / "mini.safetensors"))
    assert read(path).is_adapter and not read(data_dir / "mini.safetensors").is_adapter
    adapted = open_any(path, "cpu", data_dir)
    assert isinstance(adapted, Adapted)
    for name, value in run.adapter.state_dict().items():
        assert torch.equal(adapted.network.state_dict()[name], value)
    recording = data_dir / "N-MNIST" / "Test" / "3" / "00000.bin"
    ((_, shares),) = classify(adapted, [recording])
    assert sum(shares) == pytest.approx(1.0) and len(shares) == 10
    features = task.features(task.test, np.array([6]), Progress())
    texts = fewshot.text_features(task.clip, task.question)
    expected = fitting.adapted_logits(run.adapter, features, texts, task.clip.logit_scale).mean(dim=0)[0].softmax(dim=0)
    assert shares == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-5)


def test_an_adapter_of_other_weights_is_refused(task: Task, data_dir: Path, tmp_path: Path) -> None:
    (run,) = draws(task, replace(SHORT, epochs=1), shots=1, runs=1, views=0)
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, run, task, "mini", str(random_mini(tmp_path / "other.safetensors", seed=1).path))
    with pytest.raises(SpikeError, match="was fitted to other weights than those of mini"):
        open_any(path, "cpu", data_dir)
    with pytest.raises(SpikeError, match="is no adapter"):
        open_adapter(read(data_dir / "mini.safetensors"), "cpu", data_dir)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SpikeError, match="is damaged, cut short or of another kind"):
        open_any(path, "cpu", data_dir)


@pytest.mark.parametrize("line", ["predict ADAPTER FILE", "watch ADAPTER FILE", "export ADAPTER --check onnx --raw"])
def test_a_command_reads_an_adapter_and_its_clip_once(
    cli: Cli, task: Task, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (run,) = draws(task, replace(SHORT, epochs=1), shots=1, runs=1, views=0)
    path, weights = tmp_path / "adapter.safetensors", data_dir / "mini.safetensors"
    save_adapter(path, run, task, "mini", str(weights))
    reads, whole = [], tensors.read

    def counted(path: Path) -> object:
        reads.append(path)
        return whole(path)

    monkeypatch.setattr(tensors, "read", counted)
    named = {"ADAPTER": path, "FILE": data_dir / "N-MNIST" / "Test" / "3" / "00000.bin"}
    done = cli(*(str(named.get(word, word)) for word in line.split()), "--data-dir", data_dir, "--json")
    assert done.code == 0, done.err
    assert reads.count(path) == 1 and reads.count(weights) <= 1


def options(data_dir: Path) -> list[object]:
    return ["--clip", "mini", "--weights", data_dir / "mini.safetensors", "--data-dir", data_dir, "--device", "cpu"]


def test_the_command(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    asked = ["fewshot", "nmnist", "--shots", 2, "--timesteps", 3, "--runs", 2, "--epochs", 2, "--views", 1]
    outcome = cli(*asked, "--out", tmp_path / "adapter.safetensors", "--json", *options(data_dir))
    assert outcome.code == 0
    document = outcome.document
    assert {
        "dataset", "samples", "clip", "shots", "runs", "zero_shot_accuracy", "instance_accuracy",
        "instance_accuracy_std", "adapter_parameters", "seconds",
    } <= set(document)  # fmt: skip
    assert (document["samples"], document["shots"], document["runs"]) == (20, 2, 2)
    assert document["adapter_parameters"] == 67_264
    assert document["instance_accuracy"] == pytest.approx(np.mean(document["accuracies"]))
    assert read(tmp_path / "adapter.safetensors").is_adapter
    recording, place = data_dir / "N-MNIST" / "Test" / "3" / "00000.bin", ("--data-dir", data_dir, "--device", "cpu")
    (named,) = cli("predict", tmp_path / "adapter.safetensors", recording, "--top", 10, *place, "--json").document
    assert named["file"] == str(recording) and len({each["class"] for each in named["predictions"]}) == 10
    table = cli(*asked, "--adapter", "none", "--quiet", *options(data_dir))
    assert table.err == "" and "2 shots on nmnist, test split, 20 recordings" in table.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nmnist", "--shots", "9"], "found 4 training recordings of class 0; wanted 9; lower --shots"),
        (["nmnist", "--adapter", "lstm"], "found adapter 'lstm'; wanted one of spiking, relu, none"),
        (["shapes"], "found no data set 'shapes' of recordings"),
        (["nmnist", "--shots", "1", "--select"], "found one shot a class, none of which can be held out"),
        (["nmnist", "--classes", "a,b"], "found 2 class names for nmnist; wanted 10"),
    ],
)
def test_bad_options_are_one_line(cli: Cli, data_dir: Path, arguments: list[str], said: str) -> None:
    outcome = cli("fewshot", *arguments, "--timesteps", 3, "--quiet", *options(data_dir))
    assert outcome.code == 1 and said in outcome.err and outcome.err.count("\n") == 1
