"""Meshes and clouds in the files that people have: values by hand, and what is refused."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from cloud_files import CUBE, POINTS, area, lzf_literal, mesh_of, pcd, points_of, write

from spikecli.datasets.clouds.formats import looks_like_scan, read_cloud, read_sample
from spikecli.datasets.clouds.geometry import Cloud, Mesh, turned
from spikecli.datasets.clouds.sniff import holds_points
from spikecli.datasets.reading_options import ReadOptions
from spikecli.errors import SpikeError

CORNERS = [[float(word) for word in line.split()] for line in CUBE.splitlines()[1:9]]
TRIANGLES = [[int(word) for word in line.split()[1:]] for line in CUBE.splitlines()[9:]]


def obj(faces: str, vertex: str = "v {} {} {}") -> str:
    return "# made by hand\nmtllib a.mtl\no cube\n" + "\n".join(vertex.format(*c) for c in CORNERS) + "\n" + faces


def soup() -> np.ndarray:
    return np.array(CORNERS, np.float32)[np.array(TRIANGLES)]


def binary_stl(head: bytes = b"made by hand") -> bytes:
    facets = np.zeros(12, np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    facets["c"] = soup()
    return head.ljust(80, b" ") + struct.pack("<I", 12) + facets.tobytes()


def ascii_stl() -> str:
    lines = ["solid facet of Tuesday"]
    for corners in soup():
        rows = "\n".join("      vertex " + " ".join(map(str, corner)) for corner in corners)
        lines.append(f"  facet normal 0 0 0\n    outer loop\n{rows}\n    endloop\n  endfacet")
    return "\n".join([*lines, "endsolid facet of Tuesday\n"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.obj", obj("\n".join(f"f {a + 1} {b + 1} {c + 1}" for a, b, c in TRIANGLES))),
        ("a.obj", obj("\n".join(f"f {a + 1}/7/2 {b + 1}//3 {c + 1}/1" for a, b, c in TRIANGLES), "v {} {} {} 1 0 0")),
        ("a.obj", obj("\n".join(f"f {a - 8} {b - 8} {c - 8}" for a, b, c in TRIANGLES)).replace("\n", "\r\n")),
        ("a.obj", obj("f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 1 5 \\\n 8 4\nusemtl red\nl 1 2\n")),
        ("a.stl", binary_stl()),
        ("a.STL", binary_stl(b"solid facet")),
        ("a.stl", ascii_stl()),
        ("a.stl", ascii_stl().replace("\n", "\r\n").upper()),
    ],
)  # fmt: skip
def test_a_cube_in_obj_and_stl(tmp_path: Path, name: str, content: str | bytes) -> None:
    mesh = mesh_of(write(tmp_path / name, content))
    assert len(mesh.faces) == 12 and area(mesh) == pytest.approx(6)
    np.testing.assert_array_equal(mesh.vertices.min(0), [0, 0, 0])
    np.testing.assert_array_equal(mesh.vertices.max(0), [1, 1, 1])


def test_negative_corners_count_back_from_their_own_line(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 5\nf -4 -3 -1\n"
    assert mesh_of(write(tmp_path / "a.obj", text)).faces.tolist() == [[0, 1, 2], [0, 1, 3]]


def test_an_obj_without_faces_is_a_cloud(tmp_path: Path) -> None:
    rows = "\n".join(f"v {x} {y} {z}\nvn 0 0 1" for x, y, z in POINTS)
    found = points_of(write(tmp_path / "a.obj", rows))
    np.testing.assert_array_equal(found, np.c_[POINTS, np.tile([0, 0, 1], (4, 1))])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.obj", "f 1 2 3\n", "no vertices"),
        ("a.obj", obj("f 1 2 9\n"), "names vertex 8 of 8"),
        ("a.obj", obj("f 1 2 0\n"), "no whole numbers"),
        ("a.obj", obj("f 1 2 -9\n"), "names vertex -1"),
        ("a.obj", obj("f 1 2 x\n"), "'x'"),
        ("a.obj", "v 1 2\nv 1 2\n", "unequal length"),
        ("a.obj", "v 1 2 3\nv 1 2 3 4\n", "unequal length"),
        ("a.obj", "vertex 1 2 3\n", "begins with"),
        ("a.stl", binary_stl()[:-1], "promises 12 triangles"),
        ("a.stl", ascii_stl()[:-40], "cut short|corners"),
        ("a.stl", ascii_stl().replace("      vertex 0.0 0.0 0.0\n", "", 1), "35 corners for 12"),
        ("a.stl", b"x" * 90, "no whole STL"),
        ("a.las", b"LASF" + b"\0" * 300, "scale"),
        ("a.las", b"LASX" + b"\0" * 300, "no LAS header"),
        ("a.bin", b"\1\2\3" * 16, "no scan"),
    ],
)
def test_damaged_and_foreign_files_are_one_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(SpikeError, match=said) as problem:
        read_cloud(path)
    assert str(path) in str(problem.value) and "fetch" not in str(problem.value)


def las(count: int = 4, length: int = 20, kind: int = 0, scale: float = 0.25) -> bytes:
    head = bytearray(227)
    head[:4], head[24:26] = b"LASF", b"\1\2"
    struct.pack_into("<H", head, 94, 227)
    struct.pack_into("<IIBHI", head, 96, 227, 0, kind, length, count)
    struct.pack_into("<6d", head, 131, scale, scale, scale, 10.0, 20.0, -5.0)
    rows = (POINTS * 4).astype("<i4")
    return bytes(head) + b"".join(row.tobytes().ljust(length, b"\7") for row in rows)


@pytest.mark.parametrize(("version", "kind"), [("1.2", 3), ("1.4", 6)])
def test_laz_holds_the_points_of_las(tmp_path: Path, version: str, kind: int) -> None:
    laspy = pytest.importorskip("laspy")
    whole = laspy.LasData(laspy.LasHeader(point_format=kind, version=version))
    whole.header.scales, whole.header.offsets = [0.25] * 3, [1.0, 2.0, 3.0]
    whole.x, whole.y, whole.z = POINTS.T
    for suffix in (".las", ".laz"):
        whole.write(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(points_of(tmp_path / f"a{suffix}"), POINTS)
    data = bytearray((tmp_path / "a.laz").read_bytes())
    place = data.index(b"laszip encoded") - 2 + 54 + 12  # of the size of a chunk
    data[place : place + 4] = b"\0\0\0\xbf"  # 3 billion points, for which laspy would take memory
    with pytest.raises(SpikeError, match="a LAZ header that is damaged"):
        read_cloud(write(tmp_path / "b.laz", bytes(data)))


def test_las_is_scaled_and_shifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (20, 34):
        found = points_of(write(tmp_path / "a.las", las(length=length)))
        np.testing.assert_array_equal(found, POINTS + np.float32([10, 20, -5]))
    for bad in (las(count=5), las(length=2), las(count=4_000_000_000)):
        with pytest.raises(SpikeError, match="cut short"):
            read_cloud(write(tmp_path / "b.las", bad))
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(SpikeError, match=r"LAZ.* needs laspy.*pip install 'spikecli\[las\]', or save it as .las"):
        read_cloud(write(tmp_path / "a.laz", las(kind=0x80)))


def test_laz_is_unpacked_by_laspy(tmp_path: Path) -> None:
    laspy = pytest.importorskip("laspy", reason="the extra las is not installed")
    pytest.importorskip("lazrs", reason="the extra las is not installed")
    whole = laspy.LasData(laspy.LasHeader(point_format=3, version="1.4"))
    whole.x, whole.y, whole.z = POINTS.astype(np.float64).T
    whole.write(str(tmp_path / "a.laz"))
    np.testing.assert_allclose(points_of(tmp_path / "a.laz"), POINTS, atol=0.011)


def test_scans_of_four_and_of_five_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    four = np.c_[POINTS, rng.random(4)].astype("<f4")
    five = np.c_[rng.normal(size=(8, 3)) * 30 - 5, np.full(8, 17), np.arange(8)].astype("<f4")
    assert np.array_equal(points_of(write(tmp_path / "a.bin", four.tobytes())), POINTS)
    np.testing.assert_array_equal(points_of(write(tmp_path / "b.bin", five.tobytes())), five[:, :3])
    assert "5 numbers a point" in read_cloud(tmp_path / "b.bin").notes[0]
    events = rng.integers(0, 34, size=(80, 5)).astype(np.uint8).tobytes()
    assert looks_like_scan(four.tobytes()) and not looks_like_scan(events)


def test_arrays_under_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", other=np.arange(3), Points=POINTS)
    np.savez_compressed(tmp_path / "b.npz", arr_0=POINTS)
    np.savez(tmp_path / "c.npz", xyz=POINTS, normals=np.tile([0, 0, 1.0], (4, 1)))
    np.savez(tmp_path / "d.npz", vertices=np.array(CORNERS), faces=np.array(TRIANGLES))
    np.testing.assert_array_equal(points_of(tmp_path / "a.npz"), POINTS)
    np.testing.assert_array_equal(points_of(tmp_path / "b.npz"), POINTS)
    assert points_of(tmp_path / "c.npz")[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert area(mesh_of(tmp_path / "d.npz")) == pytest.approx(6)
    np.savez(tmp_path / "e.npz", one=POINTS, two=POINTS)
    np.savez(tmp_path / "f.npz", x=np.arange(4), y=np.arange(4), t=np.arange(4), p=np.arange(4))
    for name in "ef":
        with pytest.raises(SpikeError, match="wanted one named points"):
            read_cloud(tmp_path / f"{name}.npz")


def test_arrays_of_other_shapes(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)
    np.save(tmp_path / "side.npy", wide)
    np.testing.assert_array_equal(points_of(tmp_path / "side.npy"), wide.T)
    assert "on their side" in read_cloud(tmp_path / "side.npy").notes[0]
    np.save(tmp_path / "one.npy", POINTS[None])
    np.testing.assert_array_equal(points_of(tmp_path / "one.npy"), POINTS)
    np.save(tmp_path / "many.npy", np.stack([POINTS, POINTS]))
    with pytest.raises(SpikeError, match="several clouds"):
        read_cloud(tmp_path / "many.npy")
    fields = np.zeros(4, np.dtype([("intensity", "f4"), ("z", "f8"), ("x", "f4"), ("y", "f4")]))
    fields["x"], fields["y"], fields["z"] = POINTS.T
    np.save(tmp_path / "fields.npy", fields)
    np.testing.assert_array_equal(points_of(tmp_path / "fields.npy"), POINTS)
    np.save(tmp_path / "events.npy", np.array([[3, 4, 1, 100], [5, 6, 0, 200], [7, 8, 1, 300]]))
    with pytest.raises(SpikeError, match="holds events"):
        read_cloud(tmp_path / "events.npy")


def test_half_precision_does_not_overflow(tmp_path: Path) -> None:
    many = np.full((5000, 3), 60, np.float16)
    many[::2] = 50
    np.save(tmp_path / "half.npy", many)
    assert np.isfinite(read_sample(tmp_path / "half.npy", 64).points).all()


HEAD = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
FIVE = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n0.5 0.5 1\n"


def test_ply_strips_are_expanded_and_face_one_way(tmp_path: Path) -> None:
    text = (
        HEAD
        + f"element tristrips 1\nproperty list int int vertex_indices\nend_header\n{FIVE}12 0 1 4 2 3 -1 0 1 2 -1 3 0\n"
    )
    assert mesh_of(write(tmp_path / "a.ply", text)).faces.tolist() == [[0, 1, 4], [4, 1, 2], [4, 2, 3], [0, 1, 2]]


def test_ply_lists_of_varying_length_on_vertices(tmp_path: Path) -> None:
    head = HEAD + "property list uchar int near\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
    rows = ["0 0 0 2 1 2", "1 0 0 1 0", "1 1 0 1 3", "0 1 0 0", "0.5 0.5 1 1 1"]
    mesh = mesh_of(write(tmp_path / "a.ply", head + "\n".join(rows) + "\n3 0 1 2\n4 0 1 4 2\n"))
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 1, 4], [0, 4, 2]]
    assert mesh.vertices[4].tolist() == [0.5, 0.5, 1]
    body = b"".join(struct.pack(f"<B{i}f3f", i, *([9.0] * i), *POINTS[i]) for i in range(4))
    binary = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 4\nproperty list uchar float weights\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n"
    )
    np.testing.assert_array_equal(points_of(write(tmp_path / "b.ply", binary.encode() + body)), POINTS)


@pytest.mark.parametrize(
    "line", ["property float scan angle", "property quad q", "elements vertex 3", "element vertex"]
)
def test_a_ply_header_line_that_is_not_understood_is_refused(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.ply", HEAD + line + "\nend_header\n" + FIVE)
    with pytest.raises(SpikeError, match=f"line '{line}'"):
        read_cloud(path)


def test_ply_headers_with_remarks_other_line_ends_and_doubled_names(tmp_path: Path) -> None:
    wanted = [[float(word) for word in line.split()] for line in FIVE.splitlines()]
    remark = HEAD.replace("element", "comment end_header follows\nobj_info x\n\nelement", 1) + "end_header\n" + FIVE
    mac = (HEAD + "end_header\n" + FIVE).replace("\n", "\r")
    twice = HEAD + "property float quality\nproperty float quality\nend_header\n" + FIVE.replace("\n", " 7 8\n")
    for text in (remark, mac, twice, mac.replace("\r", "\r\n")):
        np.testing.assert_array_equal(points_of(write(tmp_path / "a.ply", text)), np.float32(wanted))
    with pytest.raises(SpikeError, match="one x, y and z"):
        read_cloud(write(tmp_path / "b.ply", HEAD + "property float x\nend_header\n" + FIVE.replace("\n", " 7\n")))
    # The first byte of a binary body may be a line end of another kind.
    binary = HEAD.replace("ascii", "binary_little_endian").replace("vertex 5", "vertex 2").encode() + b"end_header\n"
    body = struct.pack("<6f", *np.frombuffer(b"\n\r\0\1", "<f4"), 1, 2, 3, 4, 5)
    assert points_of(write(tmp_path / "c.ply", binary + body))[1].tolist() == [3, 4, 5]


def test_normals_that_are_not_finite_are_unknown_and_the_point_is_kept(tmp_path: Path) -> None:
    head = HEAD + "property float nx\nproperty float ny\nproperty float nz\nend_header\n"
    found = read_cloud(
        write(tmp_path / "a.ply", head + FIVE.replace("\n", " 0 0 1\n").replace("1 0 0 1", "1 nan 0 1", 1))
    )
    assert isinstance(found, Cloud) and len(found.points) == 5
    assert "1 normals are not finite" in found.notes[0]


def test_pcd_fields_of_count_zero_and_doubled_names(tmp_path: Path) -> None:
    body = np.c_[POINTS, np.zeros((4, 2), np.float32)].astype("<f4")
    content = pcd("binary", body.tobytes(), "x y z ring noise q q", size="4 4 4 4 4 4 4")
    content = content.replace(b"COUNT 1 1 1 1 1 1 1", b"COUNT 1 1 1 0 0 1 1")
    np.testing.assert_array_equal(points_of(write(tmp_path / "a.pcd", content)), POINTS)
    text = "\n".join(" ".join(map(str, row)) for row in body).encode()
    np.testing.assert_array_equal(
        points_of(write(tmp_path / "b.pcd", content[: content.index(b"DATA")] + b"DATA ascii\n" + text)), POINTS
    )
    with pytest.raises(SpikeError, match="x, y and z once"):
        read_cloud(write(tmp_path / "c.pcd", pcd("binary", body.tobytes(), "x y z x q", size="4 4 4 4 4")))


def test_organized_pcd_drops_what_is_not_finite(tmp_path: Path) -> None:
    holes = np.r_[POINTS[:2], np.full((2, 3), np.nan, np.float32), POINTS[2:]]
    found = read_cloud(write(tmp_path / "a.pcd", pcd("binary", holes.tobytes(), count=6)))
    np.testing.assert_array_equal(found.points, POINTS)
    assert found.notes == ("2 of 6 points are not finite and are left out",)


@pytest.mark.parametrize("change", [-12, 12])
def test_packed_points_of_another_length_are_refused(tmp_path: Path, change: int) -> None:
    columns = (POINTS.T.tobytes() * 2)[: 48 + change]
    packed = lzf_literal(columns)
    body = struct.pack("<II", len(packed), 48) + packed
    with pytest.raises(SpikeError, match="do not yield"):
        read_cloud(write(tmp_path / "a.pcd", pcd("binary_compressed", body)))


@pytest.mark.parametrize(("up", "wanted"), [("z", [1, 2, 3]), ("y", [1, -3, 2]), ("x", [-3, 2, 1]), (None, [1, 2, 3])])
def test_up_turns_without_mirroring(tmp_path: Path, up: str | None, wanted: list[float]) -> None:
    path = write(tmp_path / "a.txt", "1 2 3 0 0 1\n4 5 6 0 0 1\n0 0 0 0 0 1\n")
    found = read_cloud(path, ReadOptions(up=up))  # type: ignore[arg-type]
    assert isinstance(found, Cloud) and found.points[0, :3].tolist() == wanted
    sample, plain = read_sample(path, 3, options=ReadOptions(up=up)), read_sample(path, 3)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.linalg.norm(sample.points, axis=1), np.linalg.norm(plain.points, axis=1), rtol=1e-6)
    corners = turned(Mesh(np.eye(3), np.array([[0, 1, 2]])), up).vertices  # type: ignore[arg-type]
    assert np.linalg.det(corners) == pytest.approx(1)


def test_an_npz_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.savez_compressed(out, points=np.zeros((8_000_000, 3), np.float32))
    with pytest.raises(SpikeError, match="unpack to far more"):
        read_cloud(write(tmp_path / "a.npz", out.getvalue()))


def test_files_of_points_are_told_from_files_of_events(tmp_path: Path) -> None:
    scan = np.c_[POINTS, np.float32([0.5, 0.25, 0.125, 1])].astype("<f4")
    events = np.array([[3, 4, 100, 1], [5, 6, 200, 0], [7, 8, 300, 1]])
    seconds = events[:, [2, 0, 1, 3]] / [1000, 1, 1, 1]
    np.save(tmp_path / "p1.npy", POINTS)
    np.save(tmp_path / "p2.npy", scan)
    np.save(tmp_path / "e1.npy", events)
    np.save(tmp_path / "e2.npy", seconds)
    np.savez(tmp_path / "p3.npz", points=POINTS)
    np.savez(tmp_path / "e3.npz", x=events[:, 0], y=events[:, 1], t=events[:, 2], p=events[:, 3])
    write(tmp_path / "p4.bin", scan.tobytes())
    write(tmp_path / "e4.bin", bytes(range(40)) * 2)
    write(tmp_path / "p5.txt", "\n".join(" ".join(map(str, row)) for row in scan))
    write(tmp_path / "e5.txt", "\n".join(" ".join(map(str, row)) for row in seconds))
    write(tmp_path / "p6.csv", "X,Y,Z\n1,2,3\n4,5,6\n")
    write(tmp_path / "e6.csv", "x,y,p,t\n3,4,1,100\n5,6,0,200\n")
    for path in tmp_path.iterdir():
        assert holds_points(path) == path.name.startswith("p"), path.name
