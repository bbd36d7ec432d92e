"""Points as text, in the spellings that programs and people use, and what is told of their columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cloud_files import POINTS, points_of, write

from spikecli.datasets.clouds.formats import read_cloud
from spikecli.errors import SpikeError
from spikecli.files import numbers as number_files

ROWS = ["0 0 0", "1 2 3", "-4 5.5 6", "7 8 -9.25"]
PLAIN = "\n".join(ROWS)


def comma(text: str) -> str:
    return text.replace(".", ",")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\ufeff" + PLAIN, "a.txt"),
        (PLAIN.replace("\n", "\r\n"), "a.xyz"),
        (PLAIN.replace("\n", "\r"), "a.txt"),
        ("//X Y Z\n" + PLAIN, "a.asc"),
        ("4\n" + PLAIN, "a.pts"),
        ("X,Y,Z\n" + PLAIN.replace(" ", ","), "a.csv"),
        ('"x [m]";"y [m]";"z [m]"\n' + comma(PLAIN).replace(" ", ";"), "a.csv"),
        ("z,y,x\n" + "\n".join(",".join(reversed(row.split())) for row in ROWS), "a.csv"),
        ("Points:0,Points:1,Points:2\n" + PLAIN.replace(" ", ","), "a.csv"),
        (comma(PLAIN), "a.txt"),
        (comma(PLAIN).replace(" ", "\t"), "a.txt"),
        (PLAIN.replace(" ", ", "), "a.txt"),
        (PLAIN.replace(" ", ";"), "a.csv"),
        (PLAIN.replace(" ", ",").replace("\n", ",\n") + ",", "a.csv"),
        ("a scan of Tuesday\n" + PLAIN, "a.txt"),
        ("# before\n0 0 0\n# between\n" + "\n".join(ROWS[1:]), "a.txt"),
        ("id,x,y,z\n" + "\n".join(f"{i}," + row.replace(" ", ",") for i, row in enumerate(ROWS)), "a.csv"),
    ],
)  # fmt: skip
def test_every_spelling_gives_the_same_points(tmp_path: Path, text: str, name: str) -> None:
    np.testing.assert_array_equal(points_of(write(tmp_path / name, text)), POINTS)


def test_utf16_as_windows_writes_it(tmp_path: Path) -> None:
    np.testing.assert_array_equal(points_of(write(tmp_path / "a.txt", PLAIN.encode("utf-16"))), POINTS)


@pytest.mark.parametrize(
    ("extra", "width", "said"),
    [
        ([0.5], 3, "column 4 is not read"),
        ([255, 200, 100], 3, "columns 4 to 6 are not read"),
        ([0, 0.6, 0.8], 6, None),
        ([0.5, 0, 0.6, 0.8], 6, "1 of 7 columns are not read"),
        ([0, 0.6, 0.8, 7], 6, "1 of 7 columns are not read"),
        ([0, 0, 0], 3, "columns 4 to 6"),
    ],
)
def test_six_columns_are_normals_only_where_they_are_of_length_one(
    tmp_path: Path, extra: list[float], width: int, said: str | None
) -> None:
    text = "\n".join(row + " " + " ".join(map(str, extra)) for row in ROWS)
    found = read_cloud(write(tmp_path / "a.txt", text))
    np.save(tmp_path / "a.npy", np.array([[float(word) for word in line.split()] for line in text.splitlines()]))
    for cloud in (found, read_cloud(tmp_path / "a.npy")):
        np.testing.assert_array_equal(cloud.points[:, :3], POINTS)
        assert cloud.points.shape == (4, width)
        assert (said is None and cloud.notes == ()) or (said is not None and said in cloud.notes[0])
    if width == 6:
        np.testing.assert_allclose(found.points[:, 3:], [[0, 0.6, 0.8]] * 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5\n" + PLAIN, "promises 5 points, found 4"),
        ("3\n" + PLAIN, "promises 3 points, found 4"),
        ("x,y,intensity\n" + PLAIN.replace(" ", ","), "wanted x, y and z"),
        ("1,,3\n4,,6\n", "empty place"),
        ("1,2,,3\n4,5,,6\n", "empty place"),
        ("0.1 3 4 1\n0.2 5 6 0\n0.3 7 8 1\n", "holds events"),
        ("x,y,p,t\n3,4,1,100\n5,6,0,200\n7,8,1,300\n", "wanted x, y and z|holds events"),
        ("only words\n", "has no line of numbers"),
        ("240 180\n0.1 3 4 1\n0.2 3 4 0\n", "lines of 2 and of 4"),
        ("1 2\0 3\n1 2 3\n", "control character|was wanted"),
    ],
)
def test_what_is_no_table_of_points_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(SpikeError, match=said) as problem:
        read_cloud(path)
    assert str(path) in str(problem.value) and "fetch" not in str(problem.value)


def test_points_that_are_not_finite_are_left_out_with_a_note(tmp_path: Path) -> None:
    found = read_cloud(write(tmp_path / "a.txt", PLAIN + "\nnan 1 2\n1 inf 2\n"))
    np.testing.assert_array_equal(found.points, POINTS)
    assert found.notes == ("2 of 6 points are not finite and are left out",)
    with pytest.raises(SpikeError, match="too large"):
        read_cloud(write(tmp_path / "b.txt", PLAIN + "\n1e31 0 0\n"))


def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).normal(size=(200, 6)).round(5)
    text = "\n".join(";".join(map(str, row)) for row in table)
    whole = points_of(write(tmp_path / "a.csv", text))
    monkeypatch.setattr(number_files, "BLOCK", 97)
    np.testing.assert_array_equal(points_of(tmp_path / "a.csv"), whole)
    head = "ply\nformat ascii 1.0\nelement vertex 200\n" + "".join(f"property float {n}\n" for n in "abxcyz")
    body = text.replace(";", " ")
    found = points_of(write(tmp_path / "a.ply", head + "end_header\n" + body))
    np.testing.assert_array_equal(found, table[:, [2, 4, 5]].astype(np.float32))
    with pytest.raises(SpikeError, match="cut short"):
        read_cloud(write(tmp_path / "b.ply", head + "end_header\n" + body[:-9].rsplit(" ", 1)[0]))
