"""A recording as a network on frames sees it; a recording of another sensor is noted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from event_bytes import bin_bytes, some_events, write

from spikecli.datasets.events.likeness import rate_of, rates_of, unlike, unlike_rate

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings of two letters, and a network trained on them for an epoch."""
    from spikecli.cli import run

    folder = tmp_path_factory.mktemp("letters")
    for letter in "AB":
        for number in range(5):
            events = some_events(120, 30, 24, 10 * ord(letter) + number)
            write(folder / "from" / letter / f"{number}.bin", bin_bytes(events))
    place = ["--data-dir", str(folder / "data"), "--quiet"]
    assert run(["data", "prepare", "letters", "--from", str(folder / "from"), "--sensor", "30x24", *place]) == 0
    how = ["--epochs", "1", "--width", "0.25", "--batch-size", "4", "--out", str(folder / "run")]
    assert run(["train", "letters", *how, *place]) == 0
    return folder


def test_a_network_shows_its_frames_its_spikes_and_its_answers(cli: Cli, letters: Path, tmp_path: Path) -> None:
    file, run = letters / "from" / "B" / "1.bin", letters / "run"
    out = tmp_path / "seen.png"
    asked = ("--checkpoint", run, "-T", 3, "--out", out, "--json", "--data-dir", tmp_path)
    shown = cli("view", file, *asked)
    assert shown.code == 0 and out.read_bytes()[:4] == b"\x89PNG", shown.err
    (record,) = shown.document["sources"]
    assert [row["timesteps"] for row in record["predictions"]] == [1, 2, 3]
    assert record["layers"] and all(len(layer["firing_rate"]) == 3 for layer in record["layers"])
    assert all(0 <= rate <= 1 for layer in record["layers"] for rate in layer["firing_rate"])
    answer = cli("predict", run, file, "-T", 3, "--json", "--quiet", "--data-dir", tmp_path).document[0]["predictions"]
    assert record["predictions"][-1]["class"] == answer[0]["class"]
    assert record["predictions"][-1]["probability"] == pytest.approx(answer[0]["probability"], abs=1e-5)
    clouds = cli("view", file, "--checkpoint", "reference", "--out", out)
    assert clouds.code == 1 and "no network on event frames" in clouds.err


def test_a_recording_of_another_sensor_is_noted(cli: Cli, letters: Path, tmp_path: Path) -> None:
    assert unlike(30, 24, (34, 34)) == "" and unlike(30, 24, (0, 0)) == ""
    assert unlike(128, 128, (34, 34)).startswith("its sensor of 128 × 128 pixels is far from the 34 × 34")
    file = write(tmp_path / "big.bin", bin_bytes(some_events(300, 200, 180, 1)))
    answer = cli("predict", letters / "run", file, "--sensor", "200x180", "--json", "--quiet").document[0]
    assert "far from the 30 × 24" in answer["notes"][0]


def test_a_recording_of_another_rate_is_noted(cli: Cli, letters: Path, tmp_path: Path) -> None:
    from spikecli.datasets.events.recording import read_events
    from spikecli.datasets.events.split import load_events
    from spikecli.datasets.provenance import facts_at_training
    from spikecli.weights.trained import Trained

    assert unlike_rate(None, (1.0, 2.0)) == unlike_rate(5.0, (0.0, 0.0)) == unlike_rate(5.9, (1.0, 2.0)) == ""
    assert "far above the 1 to 2" in unlike_rate(6.1, (1.0, 2.0)) and "far below" in unlike_rate(0.3, (1.0, 2.0))
    split = load_events(letters / "data", "letters", "train")
    every = [rate_of(split.recording(place)) for place in range(len(split))]
    assert rates_of(split) == pytest.approx((min(every), max(every)), rel=1e-3)
    facts = facts_at_training(Trained.open(letters / "run", "cpu"))
    assert facts.rates == rates_of(split)
    known = read_events(letters / "from" / "A" / "0.bin").events.copy()
    same = cli("predict", letters / "run", letters / "from" / "A" / "0.bin", "--json", "--quiet").document[0]
    assert not any("events a second" in note for note in same.get("notes", []))
    known["t"] *= 20
    file = write(tmp_path / "slow.bin", bin_bytes(known))
    slow = cli("predict", letters / "run", file, "--sensor", "30x24", "--json", "--quiet").document[0]
    assert any("events a second are far below" in note for note in slow["notes"])


def test_the_run_page_shows_the_mistakes_of_recordings(cli: Cli, letters: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    shown = cli("view", letters / "run", "-T", 2, "--out", out, "--json", "--data-dir", letters / "data")
    (run,) = shown.document["runs"]
    assert run["mistakes"], "a network of one epoch on two classes makes mistakes; choose another seed"
    first = run["mistakes"][0]
    assert f"All {len(run['mistakes'])} mistakes at T = 2" in out.read_text()
    assert first["class"] in "AB" and first["predicted"] != first["class"]
    assert not any("not drawn" in line for line in shown.document["warnings"])
