"""What a file says of its points is believed: names of columns, quotes, numbers of rows, faces under any name."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.clouds.formats import Mesh, read_cloud
from spikecli.errors import SpikeError

POINTS = np.random.default_rng(0).normal(size=(20, 3)).round(3)
CORNERS = np.array([[0, 0, 0], [2, 0, 0], [2, 3, 0], [0, 3, 0]], float)  # a rectangle of 2 × 3


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(head: str, form: str) -> str:
    return head + "\n".join(form.format(i=i, x=x, y=y, z=z) for i, (x, y, z) in enumerate(POINTS.tolist())) + "\n"


@pytest.mark.parametrize(
    ("head", "form"),
    [
        ('"x","y","z"\n', '"{x}","{y}","{z}"'),
        ('"z";"x";"y"\n', '"{z}";"{x}";"{y}"'),
        ("rgb,Points_0,Points_1,Points_2\n", "9,{x},{y},{z}"),
        ("rgb,Points:0,Points:1,Points:2\n", "9,{x},{y},{z}"),
        ("label,pos_x,pos_y,pos_z\n", "9,{x},{y},{z}"),
        ("z_coord,y_coord,x_coord,id\n", "{z},{y},{x},7"),
        ("Z [m],Y [m],X [m]\n", "{z},{y},{x}"),
        ("vx,vy,vz,x,y,z\n", "1,2,3,{x},{y},{z}"),
        ("", "{i},{x},{y},{z}"),
        ("", "{i} {x} {y} {z} 255 0 0"),
        ("-nan(ind) -nan(ind) -nan(ind)\n1.#QNAN 1 2\n", "{x} {y} {z}"),
    ],
)
def test_every_table_has_the_same_points(tmp_path: Path, head: str, form: str) -> None:
    found = read_cloud(written(tmp_path / "a.csv", table(head, form)))
    np.testing.assert_allclose(found.points[:, :3], POINTS, atol=1e-6)
    assert ("i" in form.split("}")[0]) == any("numbers the rows" in note for note in found.notes)
    assert ("nan" in head) == any("2 of 22 points" in note for note in found.notes)


@pytest.mark.parametrize(
    ("head", "form", "said"),
    [
        ("r,g,b,a\n", "{x},{y},{z},1", "has the columns r g b a"),
        ("x,y,y,z\n", "{x},{y},1,{z}", "has the columns x y y z"),
        ("x,y,z\n", '"0,5","{y}","{z}"', "comma within quotes"),
    ],
)
def test_what_may_mean_two_things_is_refused(tmp_path: Path, head: str, form: str, said: str) -> None:
    with pytest.raises(SpikeError, match=said):
        read_cloud(written(tmp_path / "a.csv", table(head, form)))


def test_arrays_x_y_z_and_a_first_column_of_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=POINTS[:, 0], y=POINTS[:, 1], z=POINTS[:, 2], colors=POINTS)
    np.savez(tmp_path / "b.npz", cloud=POINTS, colors=-POINTS)
    np.save(tmp_path / "c.npy", np.column_stack([np.arange(20), POINTS]))
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_allclose(read_cloud(path).points[:, :3], POINTS, atol=1e-6)


def ply(order: str, faces: str, body: bytes) -> bytes:
    head = f"ply\nformat {order} 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n{faces}"
    return head.encode() + b"end_header\n" + body


@pytest.mark.parametrize("mark", ["<", ">"])
@pytest.mark.parametrize("name", ["vertex_ids", "corners", "vertex_indices"])
def test_faces_are_a_mesh_whatever_their_list_is_called(tmp_path: Path, mark: str, name: str) -> None:
    order = "binary_little_endian" if mark == "<" else "binary_big_endian"
    faces = f"element face 1\nproperty list uchar int {name}\n"
    body = CORNERS.astype(mark + "f4").tobytes() + struct.pack(mark + "B4i", 4, 0, 1, 2, 3)
    found = read_cloud(written(tmp_path / "a.ply", ply(order, faces, body)))
    assert isinstance(found, Mesh) and found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    text = ply("ascii", faces, b"0 0 0\n2 0 0\n2 3 0\n0 3 0\n4 0 1 2 3\n")
    assert isinstance(read_cloud(written(tmp_path / "b.ply", text)), Mesh)


@pytest.mark.parametrize(
    ("faces", "line"),
    [
        ("element face 1\nproperty int a\nproperty int b\nproperty int c\n", b"0 1 2\n"),
        ("element face 1\nproperty list uchar int a\nproperty list uchar int b\n", b"3 0 1 2 3 0 1 2\n"),
        ("element trifans 1\nproperty list uchar int vertex_indices\n", b"4 0 1 2 3\n"),
    ],
)
def test_a_mesh_that_is_not_understood_is_no_cloud(tmp_path: Path, faces: str, line: bytes) -> None:
    with pytest.raises(SpikeError, match=r"faces without a list|a mesh of trifans"):
        read_cloud(written(tmp_path / "a.ply", ply("ascii", faces, b"0 0 0\n2 0 0\n2 3 0\n0 3 0\n" + line)))


def test_headers_in_other_letters(tmp_path: Path) -> None:
    rows = "0 0 0\n2 0 0\n2 3 0\n0 3 0\n"
    head = "\ufeffply \nformat ascii 1.0\nelement vertex 4\nproperty float X\nproperty float Y\nproperty float Z\n"
    pcd = "VERSION .7\nFIELDS X Y Z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 4\nHEIGHT 1\nPOINTS 4\nDATA ascii\n"
    for name, content in (
        ("a.ply", head + "end_header\n" + rows),
        ("a.pcd", pcd + rows),
        ("a.off", f"off\n4 0 0\n{rows}"),
    ):
        np.testing.assert_array_equal(read_cloud(written(tmp_path / name, content)).points, CORNERS)


def test_one_colored_point_is_counted_and_no_cloud(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match="holds 1 points; wanted a cloud"):
        read_cloud(written(tmp_path / "a.off", "COFF\n1 0 0\n1 2 3 255 0 0\n"))
