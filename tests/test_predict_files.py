"""`predict` and one's own files: notes, turned clouds, batches that go on past a bad file."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import forks
import numpy as np
import pytest

from spikecli.datasets.clouds.store import load_points
from spikecli.evaluation.evaluate import probabilities
from spikecli.weights.trained import Trained


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clouds, of which one lies on its side and one has few points."""
    folder = tmp_path_factory.mktemp("clouds")
    points = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32) * [1, 2, 3]
    np.save(folder / "a.npy", points)
    np.save(folder / "side.npy", points[:, [0, 2, 1]] * [1, 1, -1])
    np.save(folder / "few.npy", points[:300])
    return folder


def test_a_cloud_turned_by_up_is_answered_like_the_upright_one(cli: Callable, clouds: Path) -> None:
    upright = cli("predict", clouds / "a.npy", "--json").document[0]
    turned = cli("predict", clouds / "side.npy", "--up", "y", "--json").document[0]
    plain = cli("predict", clouds / "side.npy", "--json").document[0]
    assert turned["predictions"] == upright["predictions"] != plain["predictions"]


def test_a_cloud_of_few_points_is_answered_with_a_note(cli: Callable, clouds: Path) -> None:
    found = cli("predict", clouds / "few.npy", "--json")
    assert found.document[0]["notes"] == ["holds 300 points for 1,024: some are taken more than once"]
    assert "few.npy: holds 300 points" in found.err


def test_a_folder_a_pattern_a_list_and_samples_are_answered_alike(
    cli: Callable, clouds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(clouds / name) for name in ("a.npy", "few.npy", "side.npy")]
    alone = cli("predict", *names, "--json").document
    assert [answer["file"] for answer in alone] == names
    assert cli("predict", clouds, "--json").document == alone
    assert cli("predict", "reference", clouds / "*.npy", "--json").document == alone
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(names) + "\n"))
    assert cli("predict", "-", "--json").document == alone
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert "found no file in the list on stdin" in cli("predict", "-", "--json").err


def test_a_batch_goes_on_past_a_bad_file_and_says_so(cli: Callable, clouds: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.off"
    bad.write_text("OFF\n8 12 0\n0 0")
    gone = tmp_path / "gone.npy"
    stopped = cli("predict", clouds / "a.npy", bad, "--json")
    assert (stopped.code, stopped.out) == (1, "") and "bad.off is cut short" in stopped.err
    early = cli("predict", bad, gone)
    assert early.code == 1 and f"found no file {gone}" in early.err  # all are looked for before one is read
    went_on = cli("predict", clouds / "a.npy", bad, gone, clouds / "few.npy", "--skip-bad", "--json")
    assert went_on.code == 1
    answers = went_on.document
    assert [one["file"] for one in answers if "predictions" in one] == [str(clouds / "a.npy"), str(clouds / "few.npy")]
    assert [(one["file"], "error" in one) for one in answers[2:]] == [(str(bad), True), (str(gone), True)]
    assert "bad.off is cut short" in answers[2]["error"] and "found no file" in answers[3]["error"]
    assert "2 of 4 files cannot be used" in went_on.err and "bad.off is cut short" in went_on.err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_grows_by_row_and_goes_on_after_a_stop(
    cli: Callable, clouds: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"results{suffix}"
    assert cli("predict", clouds / "a.npy", "--out", out, "--quiet").code == 0
    first = out.read_text()
    out.write_text(first + "half a li")  # what a crash leaves
    assert cli("predict", clouds, "--out", out, "--quiet").code == 0
    text = out.read_text()
    assert text.startswith(first) and "half" not in text
    rows = list(csv.DictReader(io.StringIO(text))) if suffix == ".csv" else list(map(json.loads, text.splitlines()))
    assert [Path(row["file"]).name for row in rows] == ["a.npy", "few.npy", "side.npy"]
    answer = cli("predict", clouds / "few.npy", "--json").document[0]["predictions"][0]
    assert rows[1]["class"] == answer["class"] and int(rows[1]["timesteps"]) == 4 and float(rows[1]["energy_uj"]) > 0
    assert float(rows[1][answer["class"]]) == pytest.approx(answer["probability"], abs=1e-6)
    assert sum(float(rows[1][name]) for name in list(rows[1])[2:-3]) == pytest.approx(1, abs=1e-5)
    mixed = cli("predict", clouds, "--out", out, "-T", 2)
    assert mixed.code == 1 and "has rows of timesteps 4, and this run has 2" in mixed.err and out.read_text() == text
    out.write_text(text.replace(str(rows[0]["weights"]), "0123456789ab"))
    assert "has rows of weights 0123456789ab, and this run has" in cli("predict", clouds, "--out", out).err
    out.write_text("other,columns\n1,2\n" if suffix == ".csv" else '{"other": 1}\n')
    assert "holds other columns" in cli("predict", clouds, "--out", out).err
    assert "wanted one of .csv, .jsonl" in cli("predict", clouds, "--out", tmp_path / "a.xlsx").err


DYING = """if True:
    import os, signal, sys
    from spikecli.cli import run
    from spikecli.evaluation import own_files  # with torch, which is imported once for all that die
    from spikecli.files import rows

    own_files.BATCH, add, left = 3, rows.RowFile.add, 0

    def add_until_killed(self, row):
        global left
        add(self, row)
        left -= 1
        if not left:
            with self.path.open("ab") as file:
                file.write(b"in/\\xc3")  # a line cut within a letter
            os.kill(os.getpid(), signal.SIGKILL)

    rows.RowFile.add = add_until_killed
    for left in map(int, sys.argv.pop(1).split(",")):
        child = os.fork()
        if not child:
            run(sys.argv[1:])
            os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_a_batch_killed_twice_ends_in_the_table_of_one_run(cli: Callable, clouds: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = [tmp_path / "in" / f"\u00e9{number}.npy" for number in range(8)]
    for number, name in enumerate(names):
        np.save(name, np.load(clouds / "few.npy") * [1, 1 + number / 3, 1])
    out, whole = tmp_path / "part.csv", tmp_path / "whole.csv"
    asked = ["predict", tmp_path / "in", "-T", "1", "--device", "cpu"]
    # The second is killed in the second batch of what was left.
    words = [sys.executable, "-c", DYING, "2,4", *map(str, asked), "--out", str(out)]
    forks.run(words, check=True, cwd=tmp_path, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert out.read_bytes().endswith(b"in/\xc3") and out.read_bytes().count(b"\n") == 1 + 6
    went_on = cli(*asked, "--out", out)
    assert went_on.code == 0 and "holds 6 of 8 files already" in went_on.err
    assert cli(*asked, "--out", whole).code == 0
    found, expected = (list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) for path in (out, whole))
    assert [row["file"] for row in found] == list(map(str, names))
    for row, other in zip(found, expected, strict=True):
        for name in ("file", "class", "weights"):
            assert row.pop(name) == other.pop(name)
        np.testing.assert_allclose([*map(float, row.values())], [*map(float, other.values())], rtol=1e-6, atol=1e-6)


def test_predict_sees_what_eval_saw(cli: Callable, few_built_in: None, tmp_path: Path) -> None:
    """Prepared points written to files are drawn in another order; a network of points gives the same probabilities."""
    data = tmp_path / "data"
    assert cli("data", "prepare", "shapes", "--points", 1024, "--data-dir", data, "--quiet").code == 0
    test = load_points(data, "shapes", "test")
    names = []
    for index in range(0, len(test.labels), 40):
        for suffix in (".npy", ".txt", ".ply"):
            names.append(tmp_path / f"{index:04d}{suffix}")
            rows = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in test.points[index])
            head = "ply\nformat ascii 1.0\nelement vertex 1024\nproperty float x\nproperty float y\nproperty float z\n"
            if suffix == ".npy":
                np.save(names[-1], test.points[index])
            else:
                names[-1].write_text((head + "end_header\n" if suffix == ".ply" else "") + rows)
    trained = Trained.open("reference")  # on the device that predict takes
    chosen = np.arange(0, len(test.labels), 40).repeat(3)
    seen = probabilities(trained, test.inputs(4, chosen), 4)[-1]
    said = cli("predict", *names, "--top", 99, "--json").document
    for row, answer in zip(seen, said, strict=True):
        shares = {guess["class"]: guess["probability"] for guess in answer["predictions"]}
        np.testing.assert_allclose([shares[name] for name in trained.classnames], row, atol=1e-6)
    sample = cli("predict", "shapes:test:40", "--top", 99, "--json", "--data-dir", data).document[0]
    assert sample["file"] == "shapes:test:40"
    shares = {guess["class"]: guess["probability"] for guess in sample["predictions"]}
    np.testing.assert_allclose([shares[name] for name in trained.classnames], seen[3], atol=1e-6)
    assert "found shapes:test:9999" in cli("predict", "shapes:test:9999", "--data-dir", data).err


def test_naming_a_cloud_loads_nothing_of_clip_recordings_or_hdf5(tmp_path: Path) -> None:
    cloud = tmp_path / "cloud.npy"
    np.save(cloud, np.random.default_rng(0).normal(size=(64, 3)).astype("f4"))
    code = f"""if True:
        import sys
        from spikecli.cli import run
        code = run(["predict", {str(cloud)!r}, "--quiet", "--json", "--timesteps", "1", "--device", "cpu"])
        heavy = ("h5py", "tonic", "open_clip", "open3d", "matplotlib", "torchvision", "spikecli.datasets.events",
                 "spikecli.datasets.images", "spikecli.neuroclip.fewshot", "spikecli.training", "torch._dynamo")
        print(code, [name for name in heavy if name in sys.modules], file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


def test_all_files_are_read_before_the_network_looks_at_one(
    cli: Callable, clouds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikecli.evaluation import own_files

    monkeypatch.setattr(own_files, "BATCH", 1)
    asked: list[int] = []
    monkeypatch.setattr(own_files, "_answers", lambda *given: iter(asked.append(1) or ()))
    bad = tmp_path / "bad.off"
    bad.write_text("OFF\n8 12 0\n0 0")
    found = cli("predict", clouds / "a.npy", clouds / "few.npy", bad)
    assert found.code == 1 and "bad.off is cut short" in found.err and not asked
    monkeypatch.undo()
    whole = cli("predict", clouds / "a.npy", clouds / "few.npy", "--json")
    monkeypatch.setattr(own_files, "BATCH", 1)
    monkeypatch.setattr(own_files, "_KEPT", 2000 * 12)  # one cloud is kept, the other read again, its note heard once
    parts = cli("predict", clouds / "a.npy", clouds / "few.npy", "--json")
    assert parts.document == whole.document and parts.err.count("holds 300 points") == 1


def test_the_fourth_note_of_a_kind_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    from spikecli.cli.shown.notes import FileNotes
    from spikecli.console import Console

    heard = FileNotes(Console(), most=3)
    for number in range(70):
        heard(
            Path(f"{number}.ply"), ("read with y up",) if number else ("read with y up", "12 of 40 points are left out")
        )
    heard.say_rest()
    heard.say_rest()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0.ply: read with y up; 12 of 40 points are left out" and len(heard.of) == 70
    assert lines[1:] == ["1.ply: read with y up", "2.ply: read with y up", "67 more files like: read with y up"]
