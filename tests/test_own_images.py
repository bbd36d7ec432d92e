"""A user's own pictures stay in their file until a batch needs them, and learn by settings for a few hundred."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from own_pictures import pictures
from PIL import Image

from spikecli.cli.train import Given
from spikecli.datasets.clouds.facts import CloudFacts
from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.facts import Facts
from spikecli.datasets.facts_file import FILE, write_facts
from spikecli.datasets.images import prepare
from spikecli.datasets.images.facts import ImageFacts
from spikecli.datasets.images.kind import KIND
from spikecli.datasets.images.picture import read_picture
from spikecli.datasets.images.prepare import load_images
from spikecli.datasets.sets import find_facts
from spikecli.errors import SpikeError
from spikecli.files.hdf5 import stored
from spikecli.settings.config import TrainConfig, network_settings
from spikecli.training.chosen import Chosen

Cli = Callable[..., Any]


def test_pictures_are_written_and_read_some_at_a_time(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_AT_ONCE", 3)
    pictures(tmp_path / "from", ("dark", "light"), 10, (32, 32), np.random.default_rng(0))
    place = ("--data-dir", tmp_path / "data", "--quiet")
    assert cli("data", "prepare", "tones", "--from", tmp_path / "from", *place).code == 0
    assert cli("data", "verify", "tones", *place).code == 0
    split = load_images(tmp_path / "data", "tones", "train")
    assert isinstance(split.images, np.memmap) and split.images.shape == (16, 3, 32, 32)
    files = {np.asarray(Image.open(path)).tobytes() for path in (tmp_path / "from").rglob("*.png")}
    assert {np.moveaxis(one, 0, -1).tobytes() for one in split.images} < files
    before = split.images.copy()
    split.images[:] = 0  # of this process alone
    assert np.array_equal(load_images(tmp_path / "data", "tones", "train").images, before)
    large = (tmp_path / "data" / "tones" / "dataset.toml").read_text().replace("size = [32, 32]", "size = [256, 256]")
    (tmp_path / "data" / "tones" / "dataset.toml").write_text(large)
    tracemalloc.start()
    try:
        assert cli("data", "prepare", "tones", "--from", tmp_path / "from", *place).code == 0
        assert load_images(tmp_path / "data", "tones", "train").images.nbytes == 16 * 3 * 256 * 256
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 16 * 3 * 256 * 256


def test_what_is_packed_or_cut_short_is_not_mapped(tmp_path: Path) -> None:
    values = np.arange(4000, dtype=np.uint8)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("packed", data=values, chunks=(100,), compression="gzip")
        file.create_dataset("empty", (0,), np.uint8)
        file.create_dataset("plain", data=values)
    with stored(path, "make it again") as file:
        assert isinstance(file.mapped("plain", "u", None), np.memmap)
        for name in ("plain", "packed"):
            assert np.array_equal(file.mapped(name, "u", None), values)
        assert not isinstance(file.mapped("packed", "u", None), np.memmap)
        assert file.mapped("empty", "u", None).shape == (0,)


def test_chosen_samples_are_those_of_a_copy() -> None:
    whole, places = np.arange(60).reshape(10, 2, 3), np.array([7, 1, 4])
    chosen, copy = Chosen(whole, places), whole[places]
    assert (len(chosen), chosen.shape, chosen.ndim, chosen.dtype) == (3, copy.shape, copy.ndim, copy.dtype)
    assert chosen.nbytes == copy.nbytes and np.array_equal(np.asarray(chosen), copy)
    for part in (slice(None, 2), slice(1, None, 2), np.array([2, 0, 0])):
        assert np.array_equal(chosen[part], copy[part])
    chosen[np.array([0])][:] = 0
    assert whole[7].all()


def test_own_pictures_and_recordings_have_defaults_of_their_own(tmp_path: Path) -> None:
    from spikecli.datasets.events.facts import EventFacts
    from spikecli.datasets.images.facts import CIFAR10, ImageFacts
    from spikecli.datasets.sets import kind_named
    from spikecli.errors import SettingError
    from spikecli.settings.recipes import RECIPES, train_settings
    from spikecli.settings.rules import refuse

    images, events = kind_named("images"), kind_named("events")
    names = {"classnames": ("b", "d"), "folders": ("b", "d"), "own": True}
    found = [images.defaults(ImageFacts("own", "own", **names, mirrors=mirrors)) for mirrors in (True, False)]
    assert [(one.recipe, one.augment) for one in found] == [("pictures", "flip-crop"), ("pictures", "crop")]
    assert images.defaults(CIFAR10).recipe == "cifar" and RECIPES["pictures"]["epochs"] == 60
    found = [events.defaults(EventFacts("own", "own", **names, mirrors=mirrors)) for mirrors in (True, False)]
    assert [one.augment for one in found] == ["flip-shift", "shift"]
    for augment in ("cifar", "flip-crop"):
        config = train_settings("own", "lif", "pictures", {"augment": augment}, {}, {"name": "resnet20"})
        refuse(config, "images")
        with pytest.raises(SettingError, match=f"{augment} mirrors what is then no longer of its class in own; take"):
            refuse(config, "images", flips=False)


def test_one_walker_serves_the_kind_and_the_files(tmp_path: Path) -> None:
    from spikecli.datasets.sets import kind_of_source
    from spikecli.files.sources import expand, files_named

    for name in (".hidden/a.off", "sub/notes.txt", "sub/b.png", "c.png", "__MACOSX/d.off"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    seen = [str(path.relative_to(tmp_path)) for path in files_named(str(tmp_path))]
    assert seen == ["c.png", "sub/b.png", "sub/notes.txt"]
    assert expand([str(tmp_path)], [".png"]) == [str(tmp_path / name) for name in ("c.png", "sub/b.png")]
    assert kind_of_source(str(tmp_path)) == kind_of_source(f"{tmp_path}/**/b.*") == "images"
    assert kind_of_source(f"{tmp_path}/*.off") is None and kind_of_source(str(tmp_path / "none.off")) is None
    for source, words in ((tmp_path / "sub", "no file to name in the folder"), (f"{tmp_path}/*.off", "that matches")):
        with pytest.raises(SpikeError, match=words):
            expand([str(source)], [".off"])


def test_pictures_of_another_shape_are_squeezed_with_a_note_or_cropped(cli: Cli, tmp_path: Path) -> None:
    """Black, white and black thirds side by side: squeezed all three, cropped the white one alone."""
    stripe = np.zeros((16, 48, 3), np.uint8)
    stripe[:, 16:32] = 255
    for name in ("a", "b"):
        (tmp_path / "from" / name).mkdir(parents=True)
        for number in range(3):
            height = 16 if name == "a" else 39 + number  # the widest is 48 x 39: 1.23 times as wide as high
            Image.fromarray(stripe).resize((48, height)).save(tmp_path / "from" / name / f"{number}.png")
    asked = ("data", "prepare", "thirds", "--from", tmp_path / "from", "--data-dir", tmp_path / "data")
    told = "3 of 6 pictures are squeezed to 32 x 32, the first of them from 48 x 16"
    assert told in cli(*asked, "--dry-run").err
    done = cli(*asked, "--json").document
    assert [told in note for note in done["notes"]].count(True) == 1 and "fit" not in done["settings"]
    facts = tmp_path / "data" / "thirds" / FILE
    assert facts.read_text().count('fit = "squeeze"') == 1
    squeezed = load_images(tmp_path / "data", "thirds", "train").images
    facts.write_text(facts.read_text().replace('fit = "squeeze"', 'fit = "crop"'))
    refused = cli("data", "info", "thirds", "--data-dir", tmp_path / "data")
    assert refused.code == 1 and "found fit = 'crop', and thirds was prepared with 'squeeze'; run" in refused.err
    done = cli(*asked, "--json").document
    assert not done["reused"] and not any("squeezed" in note for note in done["notes"])
    cropped = load_images(tmp_path / "data", "thirds", "train").images
    assert squeezed[0, :, :, 0].max() == 0 and squeezed[0].mean() == pytest.approx(85, abs=2)
    assert cropped[0, :, :, 1:-1].min() == 255 and cropped[0].min() > 150  # an edge is between two pixels
    assert cli("data", "prepare", "thirds", "--from", tmp_path / "from", *asked[-2:], "--json").document["reused"]
    config = TrainConfig(model=network_settings(name="resnet20", size=(32, 32)))
    found = KIND.read_file(find_facts("thirds", tmp_path / "data"), tmp_path / "from" / "a" / "0.png", config, 1, 0)
    assert np.array_equal(found, cropped[0])


@pytest.mark.parametrize(
    ("whole", "size", "wanted"),
    [
        ((640, 480), (32, 32), (80, 0, 560, 480)),
        ((480, 640), (32, 32), (0, 80, 480, 560)),
        ((100, 100), (32, 64), (0, 25, 100, 75)),
        ((7, 7), (32, 32), (0, 0, 7, 7)),
        ((50, 150), (96, 32), (0, 0, 50, 150)),
    ],
)
def test_the_middle_of_a_picture_by_hand(
    whole: tuple[int, int], size: tuple[int, int], wanted: tuple[float, float, float, float], tmp_path: Path
) -> None:
    """`wanted` are left, top, right and bottom of the part that is scaled; a picture of noise tells it from others."""
    noise = np.random.default_rng(0).integers(0, 256, (whole[1], whole[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    picture.save(tmp_path / "a.png")
    part = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, wanted)
    assert np.array_equal(read_picture(tmp_path / "a.png", size, "crop").transpose(1, 2, 0), np.asarray(part))


OWN_KINDS: dict[str, tuple[Facts, dict[str, str]]] = {
    "points": (CloudFacts("own", "", ("a", "b"), own=True), {"recipe": "short", "augment": "thin"}),
    "events": (EventFacts("own", "", ("a", "b"), own=True, mirrors=False), {"recipe": "events", "augment": "shift"}),
    "images": (ImageFacts("own", "", ("a", "b"), own=True), {"recipe": "pictures", "augment": "flip-crop"}),
}


@pytest.mark.parametrize("kind", OWN_KINDS)
def test_what_training_chooses_for_own_data_of_each_kind_is_what_it_says(kind: str, tmp_path: Path) -> None:
    facts, wanted = OWN_KINDS[kind]
    write_facts(tmp_path / "own" / FILE, facts)
    model = {"model": "pointnet", "paper": "spiking-pointnet"} if kind == "points" else {}

    def chosen(augment: str | None = None, recipe: str | None = None) -> dict[str, str]:
        network = {"name": None if model else "resnet18", "batch_norm": None}
        given = Given("own", None if model else "lif", recipe, {"augment": augment}, {}, network, tmp_path)
        return given.chosen(given.settings(None))

    assert chosen() == {**wanted, **model}
    assert chosen("none") == {"recipe": wanted["recipe"], **model}
    assert "recipe" not in chosen(recipe=wanted["recipe"]) and chosen("none", wanted["recipe"]) == model
