"""Files of points and meshes."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path

import h5py
import numpy as np
from cloud_files import CUBE, POINTS, lzf_literal, pcd, ply

from spikecli.datasets.clouds.facts import POINT_SETS
from spikecli.datasets.clouds.formats import load_points_of
from spikecli.datasets.clouds.items import Draw, draw_item
from spikecli.datasets.clouds.layouts import list_items
from spikecli.datasets.clouds.store import RECORD, PointClouds, clouds_hash, load_points, write_split
from spikecli.datasets.record import write_record
from spikecli.datasets.sets import verify as verify_points
from torture.formats import Format, of_wholes
from torture.hdf5 import damaged_hdf5
from torture.mutations import Rng, damaged, damaged_json, json_bytes

GROUPS = ("OFF", "PLY", "PCD", "NPY", "TXT XYZ", "OBJ", "STL", "LAS", "scans", "NPZ clouds", "HDF5", "JSON records")
MODELNET = POINT_SETS["modelnet10"]
REAL = Path(os.environ.get("SPIKECLI_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "samples"


def formats(folder: Path) -> list[Format]:
    """Return the formats of clouds and of what is prepared from them."""
    clouds = [
        ("a.off", _offs(), 5.0, "OFF"), ("a.ply", _plys(), 8.0, "PLY"), ("a.pcd", _pcds(), 8.0, "PCD"),
        ("a.npy", _npys(), 5.0, "NPY"), ("cloud.txt", _texts(), 4.0, "TXT XYZ"), ("a.xyz", _texts(), 2.0, "TXT XYZ"),
        ("cloud.csv", _texts(), 2.0, "TXT XYZ"), ("a.obj", _objs(), 3.0, "OBJ"), ("a.stl", _stls(), 3.0, "STL"),
        ("a.las", _lass(), 2.0, "LAS"), ("a.laz", _lazs(), 1.0, "LAS"),
        ("scan.bin", _scans(), 1.0, "scans"), ("cloud.npz", _npzs(), 3.0, "NPZ clouds"),
    ]  # fmt: skip
    found = [Format(name, of_wholes(wholes), read, share, group) for name, wholes, share, group in clouds]
    return [*found, *_prepared(folder / "prepared"), *_modelnet(folder / "modelnet")]


def read(path: Path) -> object:
    """Return points of a cloud."""
    # Another way for each file, the same whenever it comes again.
    size = path.stat().st_size
    return load_points_of(path, 2 + size % 3, "fps" if size % 2 else "uniform", seed=0)


def _offs() -> list[bytes]:
    plain = ("OFF\n" + CUBE).encode()
    quads = b"OFF\n8 2 0\n" + b"\n".join(CUBE.encode().split(b"\n")[1:9]) + b"\n4 0 1 2 3\n4 4 5 6 7 255 0 0\n"
    glued = ("OFF" + CUBE).encode()
    colored = b"COFF # colors\n3 1 0\n0 0 0 1 1 1 1\n1 0 0 1 1 1 1\n0 1 0 1 1 1 1\n3 0 1 2\n"
    return [plain, quads, glued, colored, *(path.read_bytes() for path in sorted(REAL.glob("bathtub_0002.off")))]


def _plys() -> list[bytes]:
    kinds = (("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">"))
    mixed = ply("ascii", "").replace(b"element face 4", b"element face 5") + b"\n4 0 1 2 3 1"
    other = ply("binary_big_endian", ">").replace(b"vertex_indices", b"corners")
    return [ply(form, order, mesh) for form, order in kinds for mesh in (True, False)] + [mixed, other]


def _pcds() -> list[bytes]:
    text = "\n".join(" ".join(str(value) for value in row) for row in POINTS).encode()
    columns = POINTS.T.tobytes()
    copies = (b"\x03" + columns[:4] + b"\xe0\xf3\x03") * 3
    packed = [
        len(part).to_bytes(4, "little") + size.to_bytes(4, "little") + part
        for part, size in ((lzf_literal(columns), len(columns)), (copies, 3 * 256))
    ]
    wide = pcd("ascii", b"1 2 3 4 5 6\n" * 3, "x y z normal_x normal_y normal_z", 3, "4 4 4 4 4 4")
    return [
        pcd("ascii", text), pcd("binary", POINTS.tobytes()), pcd("binary_compressed", packed[0]),
        pcd("binary_compressed", packed[1], count=64), wide,
    ]  # fmt: skip


def _npys() -> list[bytes]:
    wholes = []
    for array in (
        POINTS,
        POINTS.astype(np.float64),
        np.asfortranarray(POINTS),
        np.arange(12, dtype=">i2").reshape(4, 3),
    ):
        out = io.BytesIO()
        np.save(out, array)
        wholes.append(out.getvalue())
    out = io.BytesIO()
    np.save(out, np.array([[{"a": 1}] * 3] * 4, object), allow_pickle=True)
    return [*wholes, out.getvalue()]


def _texts() -> list[bytes]:
    rows = [",".join(f"{value:.3f}" for value in (*row, 0, 0, 1)) for row in POINTS]
    return [
        "\n".join(rows).encode(), b"# x y z\n1 2 3\n4 5 6\n7 8 9\n", b"1\t2\t3\r\n4\t5\t6\r\n0 0 1\r\n",
        b"3\n1 2 3\n4 5 6\n7 8 9\n", b"x;y;z;i\n1,5;2;3;4\n4;5,5;6;7\n0;0;1,5;2\n",
        b"//X Y Z\n1,5 2,5 3,5\n0,1 0,2 0,3\n",
        b'id,"pos_x","pos_y","pos_z"\n1,"1","2","-nan(ind)"\n2,"3","4","5"\n3,6,7,8\n',
    ]  # fmt: skip


def _objs() -> list[bytes]:
    corners = "".join(f"v {line}\nvn 0 0 1\n" for line in CUBE.splitlines()[1:9])
    faces = b"f 1//1 2//2 3//3\nf -4 -3 -2 -1\nf 1/1/1 3 5 7 2\n"
    return [corners.encode() + faces, corners.encode(), b"# x\no a\n" + corners.encode() + b"f 1 2 \\\n 3\nl 1 2\n"]


def _stls() -> list[bytes]:
    facets = b"".join(np.r_[np.zeros(3), row, row + 1, row[::-1]].astype("<f4").tobytes() + b"\0\0" for row in POINTS)
    loop = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 2.5\nendloop\nendfacet\n"
    return [b"x" * 80 + (4).to_bytes(4, "little") + facets, f"solid a\n{loop * 3}endsolid a\n".encode()]


def _lass() -> list[bytes]:
    head = bytearray(227)
    head[:4], head[24:26] = b"LASF", b"\1\2"
    head[96:111] = struct.pack("<IIBHI", 227, 0, 0, 20, 4)
    head[131:179] = struct.pack("<6d", 0.25, 0.25, 0.25, 1, 2, 3)
    return [bytes(head) + b"".join((row * 4).astype("<i4").tobytes().ljust(20, b"\1") for row in POINTS)]


def _lazs() -> list[bytes]:
    import laspy

    whole, file = laspy.LasData(laspy.LasHeader(point_format=3, version="1.2")), io.BytesIO()
    whole.x, whole.y, whole.z = np.tile(POINTS, (50, 1)).T
    whole.write(file, do_compress=True)
    return [file.getvalue()]


def _scans() -> list[bytes]:
    rows = np.c_[POINTS, np.linspace(0, 1, 4)].astype("<f4")
    return [rows.tobytes(), np.c_[rows, np.arange(4)].astype("<f4").tobytes()]


def _npzs() -> list[bytes]:
    wholes = []
    for save in (np.savez, np.savez_compressed):
        for arrays in ({"points": POINTS, "other": np.arange(5)}, {"vertices": POINTS, "faces": np.array([[0, 1, 2]])}):
            save(out := io.BytesIO(), **arrays)
            wholes.append(out.getvalue())
    return wholes


def _prepared(folder: Path) -> list[Format]:
    """Return a prepared split and its record: one is damaged, the other is whole."""
    place, rng = folder / "modelnet10", np.random.default_rng(0)
    points = rng.normal(size=(10, 8, 3)).astype(np.float32)
    names, where = tuple(f"bed_{row}" for row in range(10)), ("modelnet10", "test")
    labels = np.arange(10)
    content = clouds_hash(points, labels, names, MODELNET.classnames, where)
    settings = {"points": 8, "sampling": "uniform", "seed": 0, "skip_bad": False, "format": 1, "source": "x"}
    file = place / "test-0123.h5"
    write_split(file, PointClouds(points, labels, names, MODELNET.classnames, *where, content), settings)
    whole = file.read_bytes()
    part = {"file": file.name, "samples": 10, "fingerprint": content, "sha256": "0" * 64, "bytes": len(whole)}
    entry = {"settings": settings, "layout": "lists", "skipped": [], "splits": {"test": part}}
    write_record(place, RECORD, "0123", entry)
    record = (place / "prepared.json").read_bytes()

    def read_file(path: Path) -> object:
        (place / "prepared.json").write_bytes(record)
        path.replace(file)
        return load_points(folder, "modelnet10", "test", 4)

    def read_json(path: Path) -> object:
        file.write_bytes(whole)
        path.replace(place / "prepared.json")
        from spikecli.datasets.prepare_options import PrepareOptions
        from spikecli.datasets.sets import describe, list_sets, prepare

        list_sets(folder)
        for step in (
            lambda: describe(folder, "modelnet10"),
            lambda: verify_points(folder, "modelnet10"),
            lambda: prepare(folder, "modelnet10", PrepareOptions(offline=True, points=8)),
        ):
            attempt(step)
        return load_points(folder, "modelnet10", "test")

    def damaged_record(rng: Rng) -> bytes:
        if rng.random() < 0.4:
            return damaged(record, rng)
        return json_bytes(damaged_json(json.loads(record), rng), rng)

    return [
        Format("test.h5", of_wholes([whole]), read_file, 5.0, "HDF5"),
        Format("made.h5", lambda rng: damaged_hdf5(whole, rng), read_file, 3.0, "HDF5"),
        Format("prepared.json", damaged_record, read_json, 3.0, "JSON records"),
    ]


def attempt(step: object) -> object:
    """Return what `step` does, or its one-line error: the next step is to be tried all the same."""
    from spikecli.errors import SpikeError

    try:
        return step()  # type: ignore[operator]
    except SpikeError as problem:
        return problem


def _modelnet(folder: Path) -> list[Format]:
    """Return ModelNet's HDF5 layout: its data, and the list of files beside it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for split in ("train", "test"):
        with h5py.File(folder / f"ply_data_{split}_0.h5", "w") as file:
            file["data"] = rng.normal(size=(10, 8, 3)).astype("f4")
            file["label"] = np.arange(10, dtype="u1")[:, None]
    data = (folder / "ply_data_test_0.h5").read_bytes()
    names = [f"{name}/{name}_0001.ply" for name in MODELNET.classnames]
    listing = folder / "ply_data_test_0_id2file.json"

    def read(target: Path) -> object:
        for item in list_items(folder, MODELNET).items[-3:]:
            attempt(lambda item=item: draw_item(item, Draw(4, "uniform", 0)))
        return target

    def read_data(path: Path) -> object:
        from spikecli.datasets.clouds.items import _rows

        _rows.cache_clear()
        path.replace(folder / "ply_data_test_0.h5")
        listing.unlink(missing_ok=True)
        return read(path)

    def read_listing(path: Path) -> object:
        (folder / "ply_data_test_0.h5").write_bytes(data)
        path.replace(listing)
        return read(path)

    return [
        Format("ply.h5", of_wholes([data]), read_data, 3.0, "HDF5"),
        Format("ply_made.h5", lambda rng: damaged_hdf5(data, rng), read_data, 3.0, "HDF5"),
        Format(
            "id2file.json", lambda rng: json_bytes(damaged_json(names, rng), rng), read_listing, 1.0, "JSON records"
        ),
    ]
