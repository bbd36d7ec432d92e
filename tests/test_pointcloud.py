"""Readers of points and meshes: every format, and every way in which a file can be wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from cloud_files import CUBE, POINTS, area, lzf_literal, mesh_of, pcd, ply, points_of, write
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecli.datasets.clouds.formats import load_points_of, read_cloud
from spikecli.datasets.clouds.geometry import Mesh, normalize_unit_sphere
from spikecli.errors import SpikeError


@pytest.mark.parametrize(
    "text",
    [
        "OFF\n" + CUBE,
        "OFF" + CUBE,  # the broken first line of many ModelNet files
        "OFF " + CUBE,
        "\ufeffOFF\r\n" + CUBE.replace("\n", "\r\n"),
        "# a comment\nOFF\n# another\n\n" + CUBE.replace("8 12 0", "8 12"),
        "OFF\n" + CUBE.replace("3 0 2 1\n3 0 3 2\n", "4 0 3 2 1\n").replace("12", "11"),
        "OFF\n" + CUBE.replace("3 0 2 1\n", "3 0 2 1 255 0 0\n"),
        "COFF\n" + "\n".join(f"{line} 9 9 9 1" if line.count(" ") == 2 and line != "8 12 0" else line
                             for line in CUBE.splitlines()),
        ("OFF\n" + CUBE).replace("\n", "\r"),
    ],
    ids=["plain", "joined", "spaced", "windows", "comments", "quad", "face-color", "vertex-color", "old-mac"],
)  # fmt: skip
def test_off_in_all_its_spellings_is_the_same_cube(tmp_path: Path, text: str) -> None:
    mesh = mesh_of(write(tmp_path / "cube.off", text))
    assert mesh.vertices.shape == (8, 3) and mesh.faces.shape == (12, 3)
    assert area(mesh) == pytest.approx(6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("OFF\n" + CUBE[:90], "cut short"),
        ("OFF\n" + CUBE[:-12], "cut short"),
        ("OFF\n4000000000 1 0\n0 0 0\n", "cut short"),
        ("OFF\n99999999999999999999 99999999999999999999 0\n0 0 0\n", "cut short"),
        ("<html>not found</html>", "does not begin as an OFF"),
        ("OFF\n8 0 0\n0 0 0\n", "0 faces"),
        ("OFF\n" + CUBE.replace("1 1 1", "nan 1 1"), "not a finite"),
        ("OFF\n" + CUBE.replace("1 1 1", "inf 1 1"), "not a finite"),
        ("OFF\n" + CUBE.replace("1 1 1", "1 x 1"), "'x'"),
        ("OFF\n" + CUBE.replace("3 3 4 7", "3 3 4 8"), "names vertex 8 of 8"),
        ("OFF\n" + CUBE.replace("3 3 4 7", "3 -1 4 7"), "names vertex -1 of 8"),
        ("OFF\n" + CUBE.replace("3 3 4 7", "4 3 4 7"), "cut short"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n2 0 1\n", "no face with three corners"),
        ("OFF\n" + CUBE.replace("3 3 4 7", "-3 3 4 7"), "wanted whole numbers"),
    ],
)
def test_a_bad_off_is_one_line_that_names_the_file(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "bad.off", text)
    with pytest.raises(SpikeError) as problem:
        read_cloud(path)
    assert said in str(problem.value) and str(path) in str(problem.value)
    assert "\n" not in str(problem.value)


def test_pcd_in_its_three_encodings(tmp_path: Path) -> None:
    text = "\n".join(" ".join(str(value) for value in row) for row in POINTS).encode()
    columns = POINTS.T.tobytes()
    packed = lzf_literal(columns)
    compressed = struct.pack("<II", len(packed), len(columns)) + packed
    for encoding, body in (("ascii", text), ("binary", POINTS.tobytes()), ("binary_compressed", compressed)):
        found = points_of(write(tmp_path / f"{encoding}.pcd", pcd(encoding, body)))
        np.testing.assert_array_equal(found, POINTS, err_msg=encoding)


def test_pcd_back_references_unpack_as_liblzf_packs_them(tmp_path: Path) -> None:
    # Sixty-four equal floats a column: one literal run of four bytes, then overlapping copies from four bytes back.
    column = struct.pack("<f", 1.5) * 64
    copy = bytes([(7 << 5) | 0, 252 - 9, 3])  # 7 + 243 + 2 = 252 bytes from 3 + 1 back
    packed = (bytes([3]) + column[:4] + copy) * 2 + lzf_literal(np.arange(64, dtype="<f4").tobytes())
    body = struct.pack("<II", len(packed), 3 * 256) + packed
    found = points_of(write(tmp_path / "a.pcd", pcd("binary_compressed", body, count=64)))
    assert (found[:, :2] == 1.5).all() and found[63, 2] == 63


def test_pcd_with_normals_padding_and_other_fields(tmp_path: Path) -> None:
    row = np.dtype([(name, "<f4") for name in ("_0", "x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z", "_1")])
    table = np.zeros(4, dtype=row)
    for index, name in enumerate("xyz"):
        table[name] = POINTS[:, index]
    table["normal_z"] = 1
    names = "_ x y z rgb normal_x normal_y normal_z _"
    found = points_of(write(tmp_path / "a.pcd", pcd("binary", table.tobytes(), names, size="4 " * 9)))
    assert found.shape == (4, 6)
    np.testing.assert_array_equal(found[:, :3], POINTS)
    assert (found[:, 5] == 1).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pcd("binary", POINTS.tobytes()[:-1]), "cut short"),
        (pcd("binary", POINTS.tobytes(), count=4_000_000_000), "cut short"),
        (pcd("binary_compressed", struct.pack("<II", 4, 4_000_000_000) + b"abcd", count=333_333_333), "cut short"),
        (pcd("binary_compressed", struct.pack("<II", 3, 48) + b"\x20\xff\xff"), "do not yield"),
        (pcd("ascii", b"1 2 3\n4 5"), "cut short"),
        (pcd("zip", b""), "DATA 'zip'"),
        (pcd("binary", POINTS.tobytes(), fields="x y w"), "wanted x, y and z"),
        (pcd("binary", POINTS.tobytes(), size="4 4 q"), "does not add up"),
        (pcd("binary", POINTS.tobytes(), size="4 4"), "does not add up"),
        (b"FIELDS x y z\n", "no PCD header"),
        (pcd("binary", np.full((4, 3), np.nan, "f4").tobytes()), "no point whose coordinates are finite"),
        (pcd("binary", POINTS[:1].tobytes(), count=1), "1 points"),
        (pcd("binary", b"", count=-4), "without a count"),
    ],
)
def test_a_bad_pcd_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = write(tmp_path / "bad.pcd", content)
    with pytest.raises(SpikeError, match=said) as problem:
        read_cloud(path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("comma", [",", " ", ", ", "\t"])
def test_text_with_commas_or_spaces(tmp_path: Path, comma: str) -> None:
    lines = [comma.join(f"{value:.4f}" for value in (*row, 0, 0, 1)) for row in POINTS]
    found = points_of(write(tmp_path / "a.txt", "# x y z\n" + "\n".join(lines) + "\n\n"))
    np.testing.assert_array_equal(found[:, :3], POINTS)
    assert found.shape == (4, 6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 3\n4 5\n", "lines of 2 and of 3 numbers"),
        ("1,2,3\n4,,5\n", "empty place"),
        ("1 2\n3 4\n", "shape"),
        ("1 2 3\n", "1 points"),
        ("1 2 3\n1 2 1e999\n", "1 points"),
        ("1 2 3\n1 2 drei\n", "'drei'"),
        ("# nothing\n", "no line of numbers"),
        ("\0\0\0\0 \n", "no line of numbers"),
    ],
)
def test_bad_text_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "bad.txt", text)
    with pytest.raises(SpikeError, match=said) as problem:
        read_cloud(path)
    assert str(path) in str(problem.value)


def test_npy_is_read_and_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", POINTS.astype(np.float64))
    np.testing.assert_array_equal(points_of(tmp_path / "a.npy"), POINTS)
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "c.npy", POINTS[:, :2])
    np.save(tmp_path / "d.npy", POINTS.astype(complex))
    write(tmp_path / "e.npy", (tmp_path / "a.npy").read_bytes()[:-1])
    write(tmp_path / "f.npy", (tmp_path / "a.npy").read_bytes().replace(b"(4, 3)", b"(4000000000, 3)"))
    write(tmp_path / "g.npy", b"\x93NUMPY")
    for name in "bcdefg":
        with pytest.raises(SpikeError, match=rf"{name}\.npy"):
            read_cloud(tmp_path / f"{name}.npy")


def test_unknown_and_missing_files_say_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match=r"\.off, \.pcd"):
        read_cloud(write(tmp_path / "a.docx", "x"))
    with pytest.raises(SpikeError, match="check the path"):
        read_cloud(tmp_path / "none.off")


def test_points_far_from_the_origin_keep_their_shape(tmp_path: Path) -> None:
    offset = np.array([4_500_000.0, 5_400_000.0, 300.0])
    lines = [" ".join(f"{value:.6f}" for value in row) for row in POINTS * 0.01 + offset]
    far = normalize_unit_sphere(points_of(write(tmp_path / "utm.txt", "\n".join(lines))))
    np.testing.assert_allclose(far, normalize_unit_sphere(POINTS), atol=1e-3)


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from([".off", ".ply", ".pcd", ".npy", ".txt"]),
    cut=st.integers(0, 400),
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, cut: int, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    np.save(folder / "whole.npy", POINTS)
    whole = {
        ".off": ("OFF\n" + CUBE).encode(),
        ".ply": ply("binary_little_endian", "<"),
        ".pcd": pcd("binary", POINTS.tobytes()),
        ".npy": (folder / "whole.npy").read_bytes(),
        ".txt": b"1 2 3\n4 5 6\n7 8 9\n",
    }[suffix]
    data = bytearray(whole[: max(1, len(whole) - cut)])
    for place, value in flips:
        data[place % len(data)] = value
    path = write(folder / f"damaged{suffix}", bytes(data))
    try:
        found = read_cloud(path)
    except SpikeError as problem:
        assert str(path) in str(problem)
    else:
        values = found.vertices if isinstance(found, Mesh) else found.points
        assert np.isfinite(values).all()


def test_original_modelnet_meshes(shared_data: Path) -> None:
    for name, vertices, faces in (
        ("bathtub_0001", 3514, 3546),
        ("bathtub_0002", 700, 664),
        ("toilet_0345", 6276, 6116),
    ):
        path = shared_data / "samples" / f"{name}.off"
        mesh = mesh_of(path)
        assert (len(mesh.vertices), len(mesh.faces)) == (vertices, faces)
        assert load_points_of(path, 1024, "fps").shape == (1024, 3)
