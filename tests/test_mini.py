"""`mini`: what it is taught with, that it learns, and how it is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from spikecli.datasets.events.digits import CLIP_IMAGES, RECORDED, digit_pictures
from spikecli.errors import SpikeError
from spikecli.neuroclip import mini
from spikecli.neuroclip.backbone import open_backbone
from spikecli.neuroclip.clip import load_clip
from spikecli.neuroclip.learned import demand_learned, never_learned
from spikecli.neuroclip.mini import DigitPictures, MiniRecipe, ensure_mini, mini_source, picture_accuracy
from spikecli.neuroclip.mini_lessons import NAMES, Variation, caption, plain_pictures
from spikecli.progress import Progress

FEW = slice(60)
TINY = MiniRecipe(steps=2, batch_size=8, caption_steps=1, warmup=1)


def pictures(part: slice = CLIP_IMAGES) -> DigitPictures:
    images, labels = digit_pictures(part)
    return DigitPictures(torch.from_numpy(images), torch.from_numpy(labels))


def nothing(step: int, total: int) -> None:
    return None


def test_captions_name_their_digit_and_vary() -> None:
    generator = torch.Generator().manual_seed(0)
    for digit, name in enumerate(NAMES):
        said = {caption(digit, generator) for _ in range(50)}
        assert len(said) > 20
        assert all(name in text or str(digit) in text for text in said)
        others = [other for other in NAMES if other not in ("", name)]
        assert not any(f" {other}" in text for text in said for other in others)


def test_strength_zero_leaves_a_picture_upright_in_the_middle_and_white_on_black() -> None:
    bar = torch.zeros(32, 8, 8)
    bar[:, 1:7, 3:5] = 1
    seen = Variation()(bar, 64, 0.0, torch.Generator().manual_seed(0))
    assert seen.shape == (32, 1, 64, 64)
    assert seen[:, 0, 28:36, 30:34].mean() > 0.9  # the bar
    assert seen[:, 0, :, :12].mean() < 0.1  # the ground
    torch.testing.assert_close(seen, seen.flip(3), atol=0.02, rtol=0)


def test_variation_is_of_the_seed_and_stays_in_range() -> None:
    images = pictures().images[:64]
    first, again, other = (Variation()(images, 64, 1.0, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0 and first.max() <= 1
    assert (first.mean(dim=(1, 2, 3)) > 0.5).float().mean() > 0.2  # inverted ones too


def test_mini_and_the_recordings_share_no_digit() -> None:
    assert CLIP_IMAGES.stop <= RECORDED.start
    assert len(pictures().labels) == 898 and len(pictures(RECORDED).labels) == 899


def test_training_is_repeatable_kept_and_keyed_by_its_recipe(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    source, trained = ensure_mini(tmp_path, pictures(FEW), TINY, lambda step, total: steps.append((step, total)))
    assert trained and steps == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in (tmp_path / "clip").iterdir() if path.name != ".lock") == [source.path.name]
    before = source.path.read_bytes()
    assert ensure_mini(tmp_path, pictures(FEW), TINY, nothing) == (source, False)
    again, _ = ensure_mini(tmp_path / "elsewhere", pictures(FEW), TINY, nothing)
    assert again.path.read_bytes() == before
    seeded = dataclasses.replace(TINY, seed=1)
    assert mini_source(tmp_path, pictures(FEW), seeded).path != source.path
    assert mini_source(tmp_path, pictures(RECORDED), TINY).path != source.path


def test_a_stopped_training_leaves_no_weights_and_goes_on_to_the_same(tmp_path: Path) -> None:
    def stop(step: int, total: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_mini(tmp_path / "stopped", pictures(FEW), TINY, stop)
    left = [path.suffix for path in (tmp_path / "stopped" / "clip").iterdir() if path.name != ".lock"]
    assert left == [".stopped"]
    steps: list[int] = []
    on, trained = ensure_mini(tmp_path / "stopped", pictures(FEW), TINY, lambda step, total: steps.append(step))
    whole, _ = ensure_mini(tmp_path / "whole", pictures(FEW), TINY, nothing)
    assert trained and steps == [3] and on.path.read_bytes() == whole.path.read_bytes()
    assert not on.path.with_suffix(".stopped").exists()


def test_the_weights_that_ship_know_digits_and_are_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = open_backbone(None, None, tmp_path, "cpu")
    assert not any(tmp_path.iterdir()) and clip.weights.startswith("with the program")
    assert picture_accuracy(clip, pictures(RECORDED)) > 0.97
    source = mini.shipped_mini()
    assert source is not None and 4e6 < source.path.stat().st_size < 10e6
    (tmp_path / "model.safetensors").write_bytes(source.path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(mini, "shipped_folders", lambda name: [tmp_path])
    with pytest.raises(SpikeError, match="is damaged"):
        open_backbone("mini", None, tmp_path, "cpu")


def test_what_mini_never_learned() -> None:
    names = ["seven", "the digit 3", "Zero", "seventy", "arm roll", "12"]
    assert never_learned(None, None, names) == ["seventy", "arm roll", "12"]
    assert never_learned("RN50", "openai", names) == [] and never_learned("mini", "mine.safetensors", names) == []
    with pytest.raises(SpikeError, match="never saw seventy, arm roll, 12: its answer would mean nothing"):
        demand_learned("mini", None, names)


def test_a_short_training_learns_plain_digits(tmp_path: Path) -> None:
    recipe = MiniRecipe(steps=50, batch_size=24, ramp=20.0, warmup=15)  # hardly varied
    source, _ = ensure_mini(tmp_path, pictures(), recipe, nothing)
    clip = load_clip(source, torch.device("cpu"))
    assert picture_accuracy(clip, pictures(RECORDED)) > 0.3  # chance is 0.1
    seen = clip.encode_images(plain_pictures(pictures().images[:200], 64).expand(-1, 3, -1, -1))
    assert seen.norm(dim=1).mean().item() == pytest.approx(recipe.feature_length, rel=0.1)


def test_the_first_use_trains_and_tells_the_second_only_loads(tmp_path: Path) -> None:
    phases: list[tuple[str, int | None]] = []
    steps: list[int] = []
    notes: list[str] = []
    progress = Progress(lambda what, total: phases.append((what, total)), steps.append, notes.append)
    clip = open_backbone(None, None, tmp_path, "cpu", progress=progress, recipe=TINY)
    assert phases == [("training mini", 3)] and sum(steps) == 3
    assert len(notes) == 1 and "899 pictures" in notes[0]
    assert (clip.name, clip.size, clip.dim) == ("mini", 64, 512)
    again = open_backbone("mini", None, tmp_path, "cpu", progress=progress, recipe=TINY)
    assert len(phases) == 1 and again.identity == clip.identity


def test_weights_that_an_earlier_version_trained_are_found_again() -> None:
    """Their file's name is a fingerprint of recipe, network and pictures, whatever the order of the recipe's fields."""
    none = DigitPictures(torch.zeros(1, 1, 4, 4), torch.zeros(1, dtype=torch.int64))
    assert mini_source(Path("d"), none, MiniRecipe()).path == Path("d/clip/mini-9acf74046754.safetensors")
