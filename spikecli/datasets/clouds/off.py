"""Object File Format of CAD collections: a line of counts, vertices, faces; broken first lines are repaired."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.columns import checked_cloud
from spikecli.datasets.clouds.geometry import Cloud, Mesh
from spikecli.datasets.clouds.meshes import check_mesh
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers

# Some ModelNet files run the keyword and the counts together (`OFF490 518 0`); others leave the edges out.
_HEADER = re.compile(rb"\s*(?P<kind>[A-Z4n]*OFF)\s*(?P<vertices>\d+)\s+(?P<faces>\d+)[^\n]*(?:\n|$)", re.IGNORECASE)
_LEAST_VERTEX, _LEAST_FACE = len("0 0 0\n"), len("3 0 1 2\n")


def read_off(path: Path, data: bytes) -> Mesh | Cloud:
    """Return the mesh of an OFF file's bytes, or its points if it has no faces; polygons become triangles.

    Raise SpikeError if it is cut short or damaged.
    """
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    if b"#" in data:
        data = re.sub(rb"#[^\n]*", b"", data)
    header = _HEADER.match(data.replace(b"\r", b"\n", 2) if b"\n" not in data else data)
    if header is None:
        raise SpikeError(f"{path} does not begin as an OFF file (`OFF`, then three counts); found {data[:20]!r}")
    vertices, faces = int(header["vertices"]), int(header["faces"])
    if not vertices:
        raise SpikeError(f"{path} holds {vertices} vertices and {faces} faces; wanted a mesh; remove the file")
    body = data[header.end() :]
    if vertices * _LEAST_VERTEX + faces * _LEAST_FACE > len(body) + 2:
        raise _truncated(path, f"{vertices} vertices and {faces} faces, found only {len(body)} bytes")
    points, triangles = _plain(path, body, vertices, faces, header["kind"].upper())
    return check_mesh(path, points, triangles) if faces else checked_cloud(path, points)


def _plain(path: Path, body: bytes, vertices: int, faces: int, kind: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices and triangles; at full speed when every face is a bare triangle."""
    if kind == b"OFF":
        values = numbers(path, body)
        rest = values[3 * vertices :]
        if rest.size == 4 * faces and (rest[::4] == 3).all():
            return values[: 3 * vertices].reshape(-1, 3), rest.reshape(-1, 4)[:, 1:]
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) < vertices + faces:
        raise _truncated(path, f"{vertices} vertices and {faces} faces, found {len(lines)} lines")
    columns = len(lines[0].split())
    table = numbers(path, b"\n".join(lines[:vertices]))
    if columns < 3 or table.size != vertices * columns:
        raise SpikeError(f"{path} has vertex lines of unequal length; wanted x, y, z on each; write the file again")
    return table.reshape(vertices, columns)[:, :3].copy(), _fans(path, lines[vertices : vertices + faces])


def _fans(path: Path, lines: list[bytes]) -> np.ndarray:
    """Return triangles int64 (F, 3) that cover the polygons of the face lines; what follows the corners is color."""
    triangles = []
    for line in lines:
        words = line.split()
        try:
            size = int(words[0])
            corners = [int(word) for word in words[1 : size + 1]]
        except ValueError:
            size, corners = -1, []
        if size < 0:
            raise SpikeError(
                f"{path} has a face line {line[:40]!r}; wanted whole numbers; write the file again"
            ) from None
        if len(corners) < size:
            raise _truncated(path, f"{size} corners in the face {line[:40]!r}")
        triangles += [(corners[0], corners[i], corners[i + 1]) for i in range(1, size - 1)]
    return np.array(triangles, dtype=np.int64).reshape(-1, 3)


def _truncated(path: Path, wanted: str) -> SpikeError:
    return SpikeError(f"{path} is cut short: its header promises {wanted}; write the file again")
