"""Zero-shot: the score, the words, the features that are kept, and the command."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import one_recording, prepare_recordings, random_mini, unit

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.split import EventSplit, load_events
from spikecli.errors import SpikeError
from spikecli.models.adapter import growing_logits
from spikecli.neuroclip.clip import ClipModel, load_clip
from spikecli.neuroclip.features import FeatureStore, Twist, Viewing, encode_file
from spikecli.neuroclip.zeroshot import (
    Question,
    ask_about,
    ask_of_files,
    classify_files,
    classify_split,
    open_split,
    read_classes,
    read_words,
    spread,
    text_features,
    zero_shot_logits,
)

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare_recordings(tmp_path_factory.mktemp("data"))
    random_mini(folder / "mini.safetensors")
    return folder


@pytest.fixture(scope="module")
def clip(data_dir: Path) -> ClipModel:
    return load_clip(random_mini(data_dir / "mini.safetensors"), torch.device("cpu"))


@pytest.fixture
def store(data_dir: Path, clip: ClipModel, tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, load_events(data_dir, "nmnist", "test"), clip, Viewing(timesteps=3))


# The score.


def test_the_sum_over_steps_is_the_papers_long_inner_product() -> None:
    """Concatenated and mean-cosine scores have the same arg-max, and logits in the ratio √T."""
    steps, scale = 7, 20.0
    generator = np.random.default_rng(0)
    f = generator.normal(size=(5, steps, 16))
    g = unit(generator.normal(size=(4, 16)))
    together = unit(unit(f).reshape(5, -1))  # (B, T·D), normalized
    papers = scale * together @ np.tile(g, steps).T  # against the texts, repeated and not normalized again
    cosines = (unit(f) @ g.T).mean(axis=1)
    ours = zero_shot_logits(torch.from_numpy(f), torch.from_numpy(g), scale).mean(dim=0).numpy()
    np.testing.assert_allclose(ours, papers, rtol=1e-12)
    np.testing.assert_allclose(ours, scale * np.sqrt(steps) * cosines, rtol=1e-12)
    assert (ours.argmax(axis=1) == cosines.argmax(axis=1)).all()


def test_features_that_are_not_normalized_step_by_step_are_weighed_by_their_length() -> None:
    features = torch.zeros(2, 1, 2, dtype=torch.float64)
    features[0, 0, 0], features[1, 0, 1] = 4.0, 3.0  # ‖F‖ = 5
    logits = growing_logits(features, torch.eye(2, dtype=torch.float64), 10.0).mean(dim=0)
    torch.testing.assert_close(logits, torch.tensor([[8.0, 6.0]], dtype=torch.float64))


def test_several_templates_are_averaged_on_the_sphere(clip: ClipModel) -> None:
    both = text_features(clip, Question(("one", "two"), ("a photo of {}.", "{}")))
    single = [text_features(clip, Question(("one", "two"), (template,))) for template in ("a photo of {}.", "{}")]
    expected = torch.nn.functional.normalize(single[0] + single[1], dim=1)
    torch.testing.assert_close(both, expected)


def test_a_limit_is_spread_over_the_classes() -> None:
    assert spread(20, 10).tolist() == list(range(0, 20, 2))
    assert spread(5, None).tolist() == spread(5, 99).tolist() == [0, 1, 2, 3, 4]


def test_labels_decide_the_score_and_nothing_else(store: FeatureStore) -> None:
    question = ask_about("nmnist", None, None)
    scores = classify_split(store, question)
    texts = text_features(store.clip, question)
    said = zero_shot_logits(store.read(range(20)), texts, store.clip.logit_scale).mean(dim=0).argmax(dim=1)
    assert scores.instance_accuracy == (said.numpy() == store.split.labels).mean()
    assert len(scores.steps) == 3 and scores.steps[-1] == scores.instance_accuracy
    known = replace(store, split=replace(store.split, labels=said.numpy()))
    assert classify_split(known, question).instance_accuracy == 1.0


# The words.


def test_class_names_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("hand clap\n\n drums \n", encoding="utf-8")
    assert read_classes("hand clap, drums") == read_classes(str(tmp_path / "names.txt")) == ("hand clap", "drums")
    assert read_words(None, None) == (None, None)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: read_classes("drums"), "found no file 'drums' and only one class name"),
        (
            lambda: ask_about("nmnist", ("one", "two"), None),
            "found 2 class names for nmnist; wanted 10, in the order of",
        ),
        (lambda: ask_about("digits", None, ("a photo",)), "found the template 'a photo'; wanted {} in it"),
        (
            lambda: ask_about("mnist", None, None),
            "found no data set 'mnist' of recordings; wanted one of digits, nmnist",
        ),
        (lambda: Question(("one", "one"), ("{}",)), "found classes one, one; wanted two or more different names"),
        (lambda: Question(("one", ""), ("{}",)), "wanted two or more different names"),
        (lambda: Question(("one", "two"), ()), "found no template"),
        (lambda: ask_of_files(["nothing.bin"], ("a", "b"), None), "found neither a file nor a data set 'nothing.bin'"),
        (lambda: read_words(None, Path("nothing.txt")), "found no file nothing.txt"),
        (lambda: Viewing(slicing="events"), "found slicing 'events'; wanted one of count, time"),
        (lambda: Viewing(preset="grey"), "found image preset 'grey'; wanted one of gray, "),
        (lambda: Viewing(normalization="none"), "found normalization 'none'; wanted one of clip, paper"),
    ],
)
def test_questions_that_cannot_be_asked(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(SpikeError) as caught:
        ask()
    assert said in str(caught.value) and "\n" not in str(caught.value)


# The features that are kept.


def test_a_second_reading_looks_at_no_picture(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    first = store.read(range(20), steps.append)
    assert first.shape == (20, 3, 512) and sum(steps) == 20

    def blind(*_: object) -> None:
        raise AssertionError("a picture was looked at again")

    monkeypatch.setattr(ClipModel, "encode_images", blind)
    again = FeatureStore(store.data_dir, store.split, store.clip, store.viewing)
    assert torch.equal(again.read([7, 3]), first[[7, 3]])
    assert again.missing(range(20)) == 0
    other_words = Question(tuple("abcdefghij"), ("{}",))
    assert classify_split(again, other_words).samples == 20


def test_only_what_is_missing_is_looked_at(store: FeatureStore) -> None:
    steps: list[int] = []
    few = store.read([4, 2], steps.append)
    everything = store.read(range(6), steps.append)
    assert steps == [2, 4]
    torch.testing.assert_close(few, everything[[4, 2]], rtol=0, atol=0)


@pytest.mark.parametrize(
    "changed",
    [
        {"viewing": Viewing(timesteps=3, slicing="time")},
        {"viewing": Viewing(timesteps=3, preset="white")},
        {"viewing": Viewing(timesteps=3, normalization="paper")},
        {"viewing": Viewing(timesteps=2)},
        {"viewing": Viewing(timesteps=3, threshold=1)},
        {"twist": Twist(0, 0, False)},
        {"twist": Twist(1, 0, False)},
    ],
    ids=str,
)
def test_another_setting_has_other_features(store: FeatureStore, changed: dict[str, Any]) -> None:
    before = store.read([0])
    other = replace(store, **changed)
    assert other.folder != store.folder and other.missing([0]) == 1
    assert not torch.equal(other.read([0])[:, :2], before[:, :2])


def test_other_weights_or_data_have_other_features(store: FeatureStore, data_dir: Path, tmp_path: Path) -> None:
    clip = load_clip(random_mini(tmp_path / "other.safetensors", seed=1), torch.device("cpu"))
    split: EventSplit = load_events(data_dir, "nmnist", "train")
    folders = {store.folder, replace(store, clip=clip).folder, replace(store, split=split).folder}
    assert len(folders) == 3
    quick = load_clip(random_mini(data_dir / "mini.safetensors"), torch.device("cpu"), quick_gelu=True)
    assert replace(store, clip=quick).folder not in folders


def test_features_of_other_settings_are_never_used(store: FeatureStore) -> None:
    store.read([0])
    other = replace(store, viewing=Viewing(timesteps=3, preset="white"))
    store.folder.rename(other.folder)
    with pytest.raises(SpikeError, match=r"holds features of other settings \(viewing\); remove it and run again"):
        other.read([0])


def test_damaged_features_are_refused(store: FeatureStore) -> None:
    store.read([0])
    (path,) = store.folder.glob("*.h5")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SpikeError, match=r"00000000\.h5 is damaged.*; remove it and run again"):
        store.read([0])


def test_a_recording_looks_the_same_from_its_file_and_from_its_split(
    store: FeatureStore, data_dir: Path, clip: ClipModel
) -> None:
    path = data_dir / "N-MNIST" / "Test" / "0" / "00000.bin"
    torch.testing.assert_close(encode_file(clip, store.viewing, path), store.read([0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("polarity", [0, 1])
@pytest.mark.parametrize("preset", ["gray", "white", "redblue", "histogram"])
def test_one_polarity_is_enough(tmp_path: Path, clip: ClipModel, polarity: int, preset: str) -> None:
    path = one_recording(tmp_path / "one.bin", polarity)
    question = Question(("one", "two"), ("{}",))
    ((_, shares),) = classify_files(clip, Viewing(3, preset=preset), question, [path])
    assert sum(shares) == pytest.approx(1.0)


def test_a_twist_turns_all_steps_of_a_recording_alike_and_flips_only_where_it_may() -> None:
    images = torch.full((3, 2, 3, 33, 33), 0.5)
    images[..., 12:21, 20:29] = 1.0  # right of the middle
    seen = Twist(0, 0, False)(images, [5, 6, 7], 0.5)
    assert torch.equal(seen[:, 0], seen[:, 1]) and not torch.equal(seen[0], seen[1])
    assert seen[:, 0, 0, 0, 0].tolist() == pytest.approx([0.5] * 3)  # the ground stays
    assert (seen[..., 17:] > 0.6).float().sum() > 10 * (seen[..., :16] > 0.6).float().sum()
    sides = [bool((Twist(0, 0, True)(images[:1], [index], 0.5)[..., :16] > 0.6).any()) for index in range(20)]
    assert 3 < sum(sides) < 17


# The command.


def options(data_dir: Path) -> list[object]:
    return ["--clip", "mini", "--weights", data_dir / "mini.safetensors", "--data-dir", data_dir, "--device", "cpu"]


def test_the_command_scores_a_split(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    outcome = cli("zeroshot", "nmnist", "--timesteps", 4, "--limit", 10, "--per-step", "--json", *options(data_dir))
    assert outcome.code == 0
    document = outcome.document
    assert {
        "dataset", "split", "samples", "clip", "weights", "timesteps", "templates", "instance_accuracy",
        "top5_accuracy", "class_accuracy", "seconds",
    } <= set(document)  # fmt: skip
    assert (document["dataset"], document["split"], document["samples"]) == ("nmnist", "test", 10)
    assert len(document["step_accuracies"]) == document["timesteps"] == 4
    assert 0 <= document["instance_accuracy"] <= document["top5_accuracy"] <= 1
    assert "64 x 64 pixels, mean 0.4815" in outcome.err
    table = ("--per-step", "--out", tmp_path / "t.csv", "--quiet")
    quiet = cli("zeroshot", "nmnist", "--timesteps", 4, "--limit", 10, *table, *options(data_dir))
    assert quiet.err == "" and "Zero-shot on nmnist, test split, 10 recordings" in quiet.out
    rows = (tmp_path / "t-steps.csv").read_text().splitlines()
    assert rows == ["steps,instance_accuracy", *(f"{n},{a}" for n, a in enumerate(document["step_accuracies"], 1))]


def test_the_command_names_files(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    paths = [one_recording(tmp_path / name) for name in ("a.bin", "b.bin")]
    outcome = cli("zeroshot", *paths, "--classes", "hand clap,drums,guitar", "--top", 2, "--json", *options(data_dir))
    assert [row["file"] for row in outcome.document] == [str(path) for path in paths]
    for row in outcome.document:
        shares = [guess["probability"] for guess in row["predictions"]]
        assert len(shares) == 2 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
        assert {guess["class"] for guess in row["predictions"]} <= {"hand clap", "drums", "guitar"}


def test_real_gesture_clips_are_named(cli: Cli, data_dir: Path, shared_data: Path) -> None:
    path = shared_data / "samples" / "gesture_1.bin"
    outcome = cli("zeroshot", path, "--classes", "hand clap,drums", "--json", *options(data_dir))
    assert sum(guess["probability"] for guess in outcome.document[0]["predictions"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x01\x02\x03\x04", "cut.bin"),
        (b"", "cut.bin"),
        (bytes([1, 1, 0, 0, 1]) * 3, "cut.bin holds 3 events; wanted at least one for each of 10 time steps"),
    ],
)
def test_a_bad_recording_is_one_line(cli: Cli, data_dir: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "cut.bin").write_bytes(content)
    outcome = cli("zeroshot", tmp_path / "cut.bin", "--classes", "a,b", "--quiet", *options(data_dir))
    assert outcome.code == 1 and outcome.out == ""
    assert said in outcome.err and outcome.err.count("\n") == 1


def test_a_folder_a_pattern_and_a_list_of_recordings_are_answered_alike(
    cli: Cli, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(one_recording(tmp_path / f"{name}.bin")) for name in "ab"]
    words = ("--classes", "a,b", "--json", "--quiet", *options(data_dir))
    alone = cli("zeroshot", *files, *words).document
    assert [answer["file"] for answer in alone] == files
    assert cli("zeroshot", tmp_path, *words).document == alone
    assert cli("zeroshot", tmp_path / "*.bin", *words).document == alone
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(files)))
    assert cli("zeroshot", "-", *words).document == alone


def test_files_are_looked_at_before_a_model_is_made(
    cli: Cli, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, gone, whole = tmp_path / "broken.bin", tmp_path / "gone.bin", one_recording(tmp_path / "whole.bin")
    broken.write_bytes(b"\x01\x02\x03\x04")
    given = ["zeroshot", broken, gone, whole, "--classes", "a,b"]
    with monkeypatch.context() as patched:
        patched.setattr("spikecli.neuroclip.backbone.open_backbone", lambda *given: pytest.fail("a model is made"))
        assert "gone.bin" in cli(*given).err
        stopped = cli(*given[:2], whole, *given[4:])
        assert stopped.code == 1 and "broken.bin" in stopped.err
    went_on = cli(*given, "--skip-bad", "--json", *options(data_dir))
    assert went_on.code == 1 and "2 of 3 files cannot be used" in went_on.err
    first, second, third = went_on.document
    assert first["file"] == str(whole) and len(first["predictions"]) == 2
    assert (second["file"], third["file"]) == (str(broken), str(gone)) and "broken.bin" in second["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nmnist", "--classes", "a,b"], "found 2 class names for nmnist; wanted 10"),
        (["nothing.bin", "--classes", "a,b"], "found neither a file nor a data set 'nothing.bin'"),
        (["cifar10dvs"], "cifar10dvs is not prepared in"),
        (["nmnist", "--split", "val"], "nmnist has no split 'val'"),
        (["nmnist", "--image-preset", "sepia"], "found image preset 'sepia'"),
        (["nmnist", "--timesteps", "400"], "wanted at least one for each of 400 slices"),
    ],
)
def test_bad_options_are_one_line(cli: Cli, data_dir: Path, arguments: list[str], said: str) -> None:
    outcome = cli("zeroshot", *arguments, "--quiet", *options(data_dir))
    assert outcome.code == 1 and said in outcome.err and outcome.err.count("\n") == 1


def test_a_template_without_a_place_for_the_name_is_one_line(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a photo of {}\na photo\n", encoding="utf-8")
    outcome = cli("zeroshot", "nmnist", "--templates", tmp_path / "prompts.txt", "--quiet", *options(data_dir))
    assert outcome.code == 1 and "found the template 'a photo'; wanted {} in it" in outcome.err


def test_prompts_from_a_file_are_used_and_told(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a photo of {}\nthe number {}\n", encoding="utf-8")
    asked = ["zeroshot", "nmnist", "--templates", tmp_path / "prompts.txt", "--timesteps", 3, "--json"]
    assert cli(*asked, *options(data_dir)).document["templates"] == ["a photo of {}", "the number {}"]


def test_digits_are_prepared_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spikecli.datasets.events import kind

    asked: list[str] = []
    really = kind.prepare_events

    def prepare(facts: EventFacts, data_dir: Path, *options: Any) -> None:
        asked.append(facts.name)
        monkeypatch.setattr(kind, "prepare_events", really)
        prepare_recordings(data_dir)
        (data_dir / "nmnist").rename(data_dir / facts.name)

    monkeypatch.setattr(kind, "prepare_events", prepare)
    assert len(open_split(tmp_path, "digits", "test")) == 20
    assert len(open_split(tmp_path, "digits", "train")) == 40
    assert asked == ["digits"]
    with pytest.raises(SpikeError, match="nmnist is not prepared"):
        open_split(tmp_path, "nmnist", "test")


def test_the_settings_of_kept_features_can_be_read(store: FeatureStore) -> None:
    store.read([0])
    kept = json.loads((store.folder / "settings.json").read_text(encoding="utf-8"))
    assert kept["viewing"]["timesteps"] == 3 and kept["data"] == store.split.fingerprint
