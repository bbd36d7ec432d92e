"""Pictures as they are and as a network sees them: its input, its spikes, its answer step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_pictures import pictures
from PIL import Image

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of two classes, 24 × 12, and a network trained on them for an epoch."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("tones")
    pictures(folder / "from", ("dark", "light"), 3, (12, 24), np.random.default_rng(0))
    place = ["--data-dir", str(folder / "data"), "--quiet"]
    assert run(["data", "prepare", "tones", "--from", str(folder / "from"), *place]) == 0
    how = ["--epochs", "1", "--width", "0.1", "--batch-size", "2", "--val-fraction", "0", "--out", str(folder / "run")]
    assert run(["train", "tones", *how, *place]) == 0
    return folder


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".html"])
def test_a_network_shows_its_input_its_spikes_and_its_answers(
    cli: Cli, tones: Path, tmp_path: Path, ending: str
) -> None:
    file, out, place = tones / "from" / "dark" / "0.png", tmp_path / f"seen{ending}", ("--data-dir", tmp_path)
    shown = cli("view", file, "--checkpoint", tones / "run", "-T", 3, "--out", out, "--json", *place)
    assert shown.code == 0, shown.err
    begin = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".html": b"<!doctype html"}[ending]
    assert out.read_bytes().startswith(begin)
    (record,) = shown.document["sources"]
    assert (record["width"], record["height"], record["label"]) == (24, 12, None)
    assert [row["timesteps"] for row in record["predictions"]] == [1, 2, 3]
    assert record["layers"] and all(len(layer["firing_rate"]) == 3 for layer in record["layers"])
    assert any(rate > 0 for layer in record["layers"] for rate in layer["firing_rate"])
    answer = cli("predict", tones / "run", file, "-T", 3, "--json", "--quiet", *place).document[0]["predictions"]
    assert record["predictions"][-1]["class"] == answer[0]["class"]
    assert record["predictions"][-1]["probability"] == pytest.approx(answer[0]["probability"], abs=1e-5)


def test_the_figure_holds_the_picture_and_the_input(tones: Path) -> None:
    from spikecli.view.drawing.network import network_figure
    from spikecli.view.drawing.theme import THEMES
    from spikecli.view.images.flow import look_through
    from spikecli.view.images.sample import read_images
    from spikecli.view.look import Look
    from spikecli.weights.trained import Trained

    source = str(tones / "from" / "light" / "1.png")
    look = Look((source,), tones / "data", timesteps=2)
    (image,) = read_images([source], tones / "data")
    seen = look_through(look, Trained.open(tones / "run", "cpu"), source, image)
    figure = network_figure([seen], THEMES["dark"])
    stills = [axes.images[0].get_array() for axes in figure.axes if axes.images][:2]
    with Image.open(source) as stored:
        assert np.array_equal(stills[0], np.asarray(stored))
        small = np.asarray(stored.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(stills[1], small)
    scales = [axes.images[0].get_clim() for axes in figure.axes if axes.images][2:]
    assert len(scales) == len(seen.rates) + 2 and len(set(scales)) == 2  # one for the layers, one for the answers
    texts = [text.get_text() for text in figure.texts]
    assert [text for text in texts if text.startswith("t = ")] == ["t = 1", "t = 2"]
    assert any("32 × 32 pixels" in text for text in texts) and "1" in texts


def test_plain_pictures_are_shown_side_by_side(cli: Cli, tones: Path, tmp_path: Path) -> None:
    file, out = tones / "from" / "dark" / "0.png", tmp_path / "plain.png"
    place = ("--data-dir", tones / "data")
    records = cli("view", file, "tones:test:1", "--out", out, "--json", *place).document["sources"]
    assert [(one["name"], one["label"], one["width"]) for one in records] == [
        ("0", None, 24),
        ("tones:test:1", "light", 32),
    ]
    with Image.open(out) as drawn:
        assert drawn.width == 2 * 860


def test_what_cannot_be_shown_is_said(cli: Cli, tones: Path, tmp_path: Path) -> None:
    file, place = tones / "from" / "dark" / "0.png", ("--data-dir", tones / "data")
    out = ("--out", tmp_path / "x.png")
    for arguments, words in (
        ((file, "--checkpoint", "reference", *out), "trained on points, not on images"),
        (("tones:test:9", *out), "tones:test has images 0 to 1, not 9"),
        ((tmp_path / "none.png", *out), "found no file"),
        ((file, "--out", tmp_path / "x.gif"), "'.gif'"),
        ((file, "--points", "5", *out), "--points"),
        ((file, "--show", "spikes", *out), "cannot show images; remove --show"),
        ((file, "--checkpoint", tones / "run", "--color", "wins", *out), "--color"),
    ):
        refused = cli("view", *arguments, *place)
        assert refused.code in (1, 2) and words in refused.err, refused.err
