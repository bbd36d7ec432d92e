"""A user's own scans, recordings and pictures: from files to a trained network that answers."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_bytes import bin_bytes, some_events, write

from spikecli.datasets.clouds.store import load_points
from spikecli.datasets.own.find import find_samples, has_sides
from spikecli.datasets.own.split import with_splits
from spikecli.datasets.own_sample import OwnSample
from spikecli.errors import SpikeError

Cli = Callable[..., Any]
CLASSES = ("bolt", "cup", "gear", "nut", "pipe_end")


def ply(path: Path, points: np.ndarray) -> Path:
    lines = "\n".join(f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in points)
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
    )
    return write(path, f"{head}end_header\n{lines}\n".encode())


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Five classes of ten scans of 20 to 65 points, y up, with what people leave beside them."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        for number in range(10):
            points = rng.normal(size=(20 + 5 * number, 3)) * (1 + label, 1, 1)
            ply(tmp_path / "scans" / name / f"{name}_{number}.PLY", points)
    write(tmp_path / "scans" / "notes.docx", b"x")
    write(tmp_path / "scans" / ".DS_Store", b"x")
    return tmp_path / "scans"


def test_scans_from_files_to_answers(cli: Cli, scans: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    asked = ("data", "prepare", "parts", "--from", scans, "--points", 32, "--up", "y", *place)
    dry = cli(*asked, "--dry-run", "--json", "--quiet").document
    assert dry["kind"] == "points" and dry["classes"]["pipe end"] == {"train": 8, "test": 2}
    assert dry["count"]["least"] == 20 and dry["count"]["most"] == 65 and "1 .docx file, which" in dry["skipped"][0]
    assert not (tmp_path / "data" / "parts").exists()
    done = cli(*asked)
    assert done.code == 0 and "parts: 40 train, 10 test prepared" in done.out, done.err
    facts = tomllib.loads((tmp_path / "data" / "parts" / "dataset.toml").read_text())
    assert facts["up"] == "y" and facts["classnames"][-1] == "pipe end" and facts["folders"][-1] == "pipe_end"
    assert load_points(tmp_path / "data", "parts", "test").points.shape == (10, 32, 3)
    about = cli("data", "info", "parts", *place, "--json").document
    assert about["classnames"] == facts["classnames"] and about["samples"] == {"train": 40, "test": 10}
    assert "parts" in [line["name"] for line in cli("data", "list", *place, "--json").document]
    assert cli("data", "verify", "parts", *place).code == 0
    run = tmp_path / "run"
    trained = cli("train", "parts", "--epochs", 1, "--points", 32, "--batch-size", 8, "--out", run, *place, "--quiet")
    assert trained.code == 0, trained.err
    scored = cli("eval", run, "--timesteps", 2, "--by-class", *place, "--json", "--quiet")
    assert scored.code == 0 and scored.document["samples"] == 10, scored.err
    named = cli("predict", run, scans / "cup" / "cup_0.PLY", "--data-dir", tmp_path / "nowhere", "--json", "--quiet")
    assert named.code == 0, named.err
    assert named.document[0]["predictions"][0]["class"] in facts["classnames"]
    assert cli("data", "remove", "parts", *place).code == 0
    assert cli("data", "info", "parts", *place).code != 0


def test_recordings_of_letters(cli: Cli, tmp_path: Path) -> None:
    for letter in "ABC":
        for number in range(6):
            events = some_events(120, 30, 24, 10 * ord(letter) + number)
            file = tmp_path / "letters" / ("test" if number > 3 else "train") / letter / f"{number}.bin"
            write(file, bin_bytes(events))
    place = ("--data-dir", tmp_path / "data")
    done = cli("data", "prepare", "letters", "--from", tmp_path / "letters", "--sensor", "30x24", *place, "--json")
    assert done.code == 0, done.err
    assert done.document["kind"] == "events" and done.document["samples"] == {"train": 12, "test": 6}
    assert cli("data", "info", "letters", *place, "--json").document["sensor"] == [30, 24]
    run = tmp_path / "run"
    asked = ("train", "letters", "--epochs", 1, "--width", 0.25, "--batch-size", 4, "--out", run, *place, "--quiet")
    trained = cli(*asked)
    assert trained.code == 0, trained.err
    named = cli("predict", run, tmp_path / "letters" / "test" / "B" / "4.bin", "--data-dir", tmp_path / "x", "--json")
    assert named.code == 0 and named.document[0]["predictions"][0]["class"] in "ABC", named.err


def test_pictures(cli: Cli, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(1)
    for name in ("leaf", "bark"):
        for number in range(5):
            path = tmp_path / "from" / f"{name}-{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    place = ("--data-dir", tmp_path / "data")
    asked = ("data", "prepare", "trees", "--from", tmp_path / "from", "--class-pattern", r"^([a-z]+)-", *place)
    done = cli(*asked, "--json", "--quiet")
    assert done.code == 0 and done.document["classes"] == {
        "bark": {"train": 4, "test": 1},
        "leaf": {"train": 4, "test": 1},
    }
    run = tmp_path / "run"
    trained = cli("train", "trees", "--epochs", 1, "--width", 0.25, "--batch-size", 4, "--out", run, *place, "--quiet")
    assert trained.code == 0, trained.err
    named = cli("predict", run, tmp_path / "from" / "leaf-0.png", "--data-dir", tmp_path / "x", "--json", "--quiet")
    assert named.document[0]["predictions"][0]["class"] in ("leaf", "bark"), named.err


def test_a_split_stays_when_samples_are_added_and_groups_stay_together() -> None:
    first = [OwnSample(Path(f"{name}{n}"), f"{name}{n}", name) for name in "ab" for n in range(10)]
    done, notes = with_splits(first, 0.2, 0, {})
    assert sum(one.split == "test" for one in done) == 4 and not notes
    kept = {one.name: str(one.split) for one in done}
    more = [*first, *(OwnSample(Path(f"a{n}"), f"a{n}", "a") for n in range(10, 20))]
    again, _ = with_splits(more, 0.2, 5, kept)
    assert all(one.split == kept[one.name] for one in again if one.name in kept)
    assert sum(one.split == "test" and one.folder == "a" for one in again) == 4
    grouped = [OwnSample(Path(f"a{n}"), f"a{n}", "ab"[n % 2], group=f"g{n // 4}") for n in range(16)]
    parts, _ = with_splits(grouped, 0.3, 0, {})
    assert all(len({one.split for one in parts if one.group == group}) == 1 for group in ("g0", "g1", "g2", "g3"))
    lonely, said = with_splits([*first, OwnSample(Path("c"), "c", "c")], 0.2, 0, {})
    assert lonely[-1].split == "train" and "no sample of c" in said[0]


def test_layouts_say_class_and_split() -> None:
    names = ["x/train/cup/s1/a.ply", "x/cup/Testing/b.ply", "x/bolt/val/a.ply"]
    found = find_samples([Path("/r") / name for name in names], Path("/r"), None, None)
    assert {(one.folder, one.split, one.name) for one in found} == {
        ("cup", "train", "x/train/cup/s1/a"),
        ("cup", "test", "x/cup/Testing/b"),
        ("bolt", "train", "x/bolt/val/a"),
    }
    with pytest.raises(SpikeError, match="in no folder of a class"):
        find_samples([Path("/r/a.ply"), Path("/r/cup/b.ply")], Path("/r"), None, None)


def test_lists_and_what_is_refused(cli: Cli, scans: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data", "--json", "--quiet")
    rows = [
        f"scans/{name}/{name}_{n}.PLY,{name},{'test' if n == 9 else 'train'}" for name in CLASSES for n in range(10)
    ]
    listing = write(tmp_path / "list.csv", "\n".join(["path,class,split", *rows]).encode())
    done = cli("data", "prepare", "listed", "--from", listing, "--points", 16, *place)
    assert done.code == 0 and done.document["samples"] == {"train": 45, "test": 5}, done.err
    assert json.dumps(done.document["classes"]["cup"]) == '{"train": 9, "test": 1}'
    near = cli("data", "prepare", "modelnet_10", "--from", scans, *place)
    assert near.code == 1 and "nearly the built-in modelnet10" in near.err
    write(scans / "cup" / "broken.ply", b"no ply")
    bad = cli("data", "prepare", "parts", "--from", scans, "--points", 16, *place)
    assert bad.code == 1 and "broken.ply" in bad.err and "--skip-bad" in bad.err
    skipped = cli("data", "prepare", "parts", "--from", scans, "--points", 16, "--skip-bad", *place)
    assert skipped.code == 1 and any("broken.ply" in line for line in skipped.document["skipped"])


def test_a_run_goes_on_with_changed_data_only_when_told(cli: Cli, scans: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data", "--quiet")
    prepare = ("data", "prepare", "parts", "--from", scans, "--points", 16, *place)
    run = ("train", "parts", "--points", 16, "--batch-size", 8, "--out", tmp_path / "run", *place)
    assert cli(*prepare).code == 0 and cli(*run, "--epochs", 1).code == 0
    for number in range(10, 14):
        ply(scans / "cup" / f"cup_{number}.ply", np.random.default_rng(number).normal(size=(30, 3)))
    assert cli(*prepare).code == 0
    refused = cli(*run, "--epochs", 2, "--resume")
    assert refused.code == 1 and "has changed since" in refused.err and "--accept-changed-data" in refused.err
    done = cli(*run, "--epochs", 2, "--resume", "--accept-changed-data", "--json")
    assert done.code == 0 and done.document["epochs"] == 2, done.err
    counts = cli("data", "info", "parts", "--data-dir", tmp_path / "data", "--json").document["counts"]
    assert sum(counts["cup"].values()) == 14 and sum(counts["nut"].values()) == 10


@pytest.mark.parametrize(("sizes", "tested"), [((10, 4), 4), ((4, 10), 4), ((3, 3, 3, 3, 3), 3), ((7, 8), 7)])
def test_a_group_that_is_too_large_for_the_test_part_trains(sizes: tuple[int, ...], tested: int) -> None:
    of = [
        OwnSample(Path(f"{g}-{n}"), f"{g}-{n}", "a", group=f"g{g}") for g, size in enumerate(sizes) for n in range(size)
    ]
    for seed in range(4):
        parts, notes = with_splits(of, 0.2, seed, {})
        assert sum(one.split == "test" for one in parts) == tested and notes == []


@pytest.mark.parametrize(
    ("names", "sided"),
    [
        (("0", "A", "z"), True),
        (("wave left", "wave right", "clap"), True),
        (("bright", "upright"), False),
        (("A", "B", "car"), False),
    ],
)
def test_letters_and_sides_are_not_mirrored(names: tuple[str, ...], sided: bool) -> None:
    assert has_sides(names) == sided


def test_a_set_that_is_not_prepared_yet_is_told_how(cli: Cli) -> None:
    found = cli("train", "mine")
    assert found.code == 2 and "`spikecli data prepare mine --from FOLDER`" in found.err
    assert "--from" not in cli("train", "../mine").err


def test_a_folder_in_place_of_a_name_is_told_what_to_do(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my things").mkdir()
    assert "`spikecli data prepare mine --from 'my things'`, then name mine" in cli("train", "my things").err
