"""Polygon files in their three encodings."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cloud_files import area, mesh_of, ply, points_of, write

from spikecli.datasets.clouds.formats import read_cloud
from spikecli.errors import SpikeError

ENCODINGS = [("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")]


@pytest.mark.parametrize(("form", "order"), ENCODINGS)
def test_ply_meshes_and_clouds(tmp_path: Path, form: str, order: str) -> None:
    mesh = mesh_of(write(tmp_path / "a.ply", ply(form, order)))
    assert area(mesh) == pytest.approx(1.5 + np.sqrt(3) / 2)
    found = points_of(write(tmp_path / "b.ply", ply(form, order, mesh=False)))
    assert found.shape == (4, 6) and found[3].tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(("form", "order"), ENCODINGS[1:])
def test_ply_faces_of_changing_length(tmp_path: Path, form: str, order: str) -> None:
    head = (
        f"ply\nformat {form} 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty list uchar ushort vertex_index\nend_header\n"
    )
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0)]
    body = b"".join(struct.pack(f"{order}3f", *corner) for corner in corners)
    body += struct.pack(f"{order}B4HB3H", 4, 0, 1, 2, 3, 3, 1, 4, 2)
    mesh = mesh_of(write(tmp_path / "a.ply", head.encode() + body))
    assert mesh.faces.shape == (3, 3) and area(mesh) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"plywood", "no PLY header"),
        (ply("binary_little_endian", "<")[:-1], "cut short"),
        (ply("binary_little_endian", "<").replace(b"vertex 4", b"vertex 4000000000"), "cut short"),
        (ply("ascii", "")[:-8], "cut short"),
        (ply("ascii", "").replace(b"vertex 4", b"vertex 400000000000"), "cut short"),
        (ply("ascii", "").replace(b"ascii", b"morse"), "does not add up"),
        (ply("ascii", "").replace(b"property double y\n", b""), "no vertices|cut short"),
        (ply("ascii", "").replace(b"element vertex 4", b"element vertex -4"), "below 0"),
    ],
)
def test_a_bad_ply_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = write(tmp_path / "bad.ply", content)
    with pytest.raises(SpikeError, match=said) as problem:
        read_cloud(path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("3 0 2 1 7", "3 0\n2 1 7"),  # an item over two lines
        lambda text: text.replace("3 0 2 1 7", "3.0 0 2.0 1 7"),
        lambda text: text.replace("\n3 0 2 1 7", "  \n\n3 0 2 1 7"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("0 1 0\n0 0 1\n", "0 1 0 0 0 1\n"),
    ],
)
def test_text_bodies_are_the_same_however_their_lines_break(tmp_path: Path, change: Callable[[str], str]) -> None:
    plain = mesh_of(write(tmp_path / "plain.ply", ply("ascii", "")))
    mesh = mesh_of(write(tmp_path / "a.ply", change(ply("ascii", "").decode()).encode()))
    np.testing.assert_array_equal(mesh.vertices, plain.vertices)
    np.testing.assert_array_equal(mesh.faces, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
