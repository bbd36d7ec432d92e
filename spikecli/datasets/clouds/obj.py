"""Wavefront files: one vertex or polygon a line; materials, textures and curves are ignored."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud
from spikecli.datasets.clouds.geometry import Cloud, Mesh
from spikecli.datasets.clouds.meshes import check_mesh, polygon_fans
from spikecli.errors import SpikeError
from spikecli.files.numbers import blocks, numbers

_AFTER_SLASH = re.compile(rb"/\S*")  # texture and normal of a corner
# Everything else that may begin a line; the rest of such a line is of no use here.
_PASSED_OVER = frozenset(
    b"vt vp g o s mtllib usemtl usemap maplib l p deg bmat step cstype curv curv2 surf parm trim hole scrv sp end con "
    b"mg bevel c_interp d_interp lod shadow_obj trace_obj ctech stech call csh fo".split()
)


def read_obj(path: Path, data: bytes) -> Mesh | Cloud:
    """Return the mesh in a Wavefront file's bytes, or its vertices as a cloud if it has no faces.

    Polygons become triangles. Raise SpikeError for a line that is not understood, and for a corner that names no
    vertex.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\\\n" in data:
        data = data.replace(b"\\\n", b" ")
    vertices: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    faces: list[tuple[np.ndarray, np.ndarray]] = []
    count = 0
    for block in blocks(data, 3 if data[:3] == b"\xef\xbb\xbf" else 0, b"\n"):
        sorts = _by_keyword(path, block)
        faces += _faces(path, sorts[b"f"], count)
        found = _vectors(path, sorts[b"v"], "v")
        vertices.append(found)
        normals.append(_vectors(path, sorts[b"vn"], "vn"))
        count += len(found)
    points = np.concatenate(vertices) if vertices else np.empty((0, 3))
    if not count:
        raise SpikeError(f"{path} has no vertices (lines `v x y z`); export it again")
    if faces:
        sizes, corners = (np.concatenate(part) for part in zip(*faces, strict=True))
        return check_mesh(path, points, polygon_fans(sizes, corners - 1))
    directions = np.concatenate(normals)
    return checked_cloud(path, np.concatenate([points, directions], axis=1) if len(directions) == count else points)


def _by_keyword(path: Path, block: bytes) -> dict[bytes, list[tuple[int, bytes]]]:
    """Return the rest of the `v`, `vn` and `f` lines of a block, each with the count of vertices before it."""
    sorts: dict[bytes, list[tuple[int, bytes]]] = {b"v": [], b"vn": [], b"f": []}
    known = sorts[b"v"]
    for line in block.split(b"\n"):
        keyword, _, rest = line.strip().replace(b"\t", b" ", 1).partition(b" ")
        if keyword in sorts:
            sorts[keyword].append((len(known), rest.partition(b"#")[0]))
        elif keyword and not keyword.startswith(b"#") and keyword not in _PASSED_OVER:
            raise SpikeError(f"{path} has a line that begins with {keyword[:20]!r}; wanted v, vn or f; export it again")
    return sorts


def _vectors(path: Path, lines: list[tuple[int, bytes]], keyword: str) -> np.ndarray:
    """Return the first three numbers of each line, float64 (n, 3); a weight or a color may follow."""
    if not lines:
        return np.empty((0, 3))
    values = numbers(path, b"\n".join(rest for _, rest in lines))
    width, rest = divmod(values.size, len(lines))
    if rest or width < 3 or any(len(line.split()) != width for _, line in lines):
        raise SpikeError(f"{path} has lines `{keyword}` of unequal length; wanted x, y, z on each; export it again")
    return values.reshape(-1, width)[:, :3]


def _faces(path: Path, lines: list[tuple[int, bytes]], before: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the sizes of the polygons and their corners in a row, vertices counted from 1."""
    if not lines:
        return []
    text = [_AFTER_SLASH.sub(b"", rest) if b"/" in rest else rest for _, rest in lines]
    sizes = np.array([len(rest.split()) for rest in text])
    corners = numbers(path, b"\n".join(text))
    if corners.size != sizes.sum() or (corners != np.floor(corners)).any() or (corners == 0).any():
        raise SpikeError(f"{path} has a face whose corners are no whole numbers from 1; export it again")
    if (corners < 0).any():  # counted back from the last vertex before the face
        known = np.repeat([before + count for count, _ in lines], sizes)
        corners = np.where(corners < 0, known + corners + 1, corners)
    return [(sizes, corners)]
