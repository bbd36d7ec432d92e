"""Small files of points and meshes in every format, made byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.formats import read_cloud
from spikecli.datasets.clouds.geometry import Cloud, Mesh

CUBE = """8 12 0
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
3 0 2 1
3 0 3 2
3 4 5 6
3 4 6 7
3 0 1 5
3 0 5 4
3 1 2 6
3 1 6 5
3 2 3 7
3 2 7 6
3 3 0 4
3 3 4 7
"""
POINTS = np.array([[0, 0, 0], [1, 2, 3], [-4, 5.5, 6], [7, 8, -9.25]], dtype=np.float32)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def area(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def mesh_of(path: Path) -> Mesh:
    found = read_cloud(path)
    assert isinstance(found, Mesh)
    return found


def points_of(path: Path) -> np.ndarray:
    found = read_cloud(path)
    assert isinstance(found, Cloud)
    assert found.points.dtype == np.float32
    return found.points


def pcd(encoding: str, body: bytes, fields: str = "x y z", count: int = 4, size: str = "4 4 4") -> bytes:
    kinds = " ".join("F" for _ in fields.split())
    ones = " ".join("1" for _ in fields.split())
    return (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {size}\nTYPE {kinds}\nCOUNT {ones}\nWIDTH {count}\n"
        f"HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {encoding}\n"
    ).encode() + body


def lzf_literal(data: bytes) -> bytes:
    runs = [data[start : start + 32] for start in range(0, len(data), 32)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def ply(form: str, order: str, mesh: bool = True) -> bytes:
    """Return a tetrahedron, or its four corners with normals, in one of the three encodings."""
    corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    head = f"ply\nformat {form} 1.0\ncomment made here\nelement vertex 4\n"
    names = ["x", "y", "z"] if mesh else ["x", "y", "z", "nx", "ny", "nz"]
    head += "".join(f"property double {name}\n" for name in names)
    if mesh:
        head += "element face 4\nproperty list uchar int vertex_indices\nproperty uchar flags\n"
    head += "end_header\n"
    rows = corners if mesh else [(*corner, 0, 0, 1) for corner in corners]
    if not order:
        lines = [" ".join(map(str, row)) for row in rows]
        lines += [f"3 {a} {b} {c} 7" for a, b, c in faces] if mesh else []
        return head.encode() + "\n".join(lines).encode()
    body = b"".join(struct.pack(f"{order}{len(row)}d", *row) for row in rows)
    body += b"".join(struct.pack(f"{order}B3iB", 3, *face, 7) for face in faces) if mesh else b""
    return head.encode() + body
