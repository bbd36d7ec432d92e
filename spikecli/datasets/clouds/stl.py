"""Stereolithography files, ascii and binary: triangles without shared corners."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Mesh
from spikecli.datasets.clouds.meshes import check_mesh
from spikecli.errors import SpikeError
from spikecli.files.numbers import numbers

_HEADER = 84  # 80 bytes of anything, then the number of triangles
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+([^\n]*)", re.MULTILINE | re.IGNORECASE)
_LOOP_END = re.compile(rb"\bendloop\b", re.IGNORECASE)


def read_stl(path: Path, data: bytes) -> Mesh:
    """Return the mesh of an STL file's bytes; raise SpikeError if it is no whole mesh."""
    promised = int.from_bytes(data[80:84], "little") if len(data) >= _HEADER else 0
    # Some binary files begin with `solid` too: the length tells.
    if len(data) == _HEADER + promised * _FACET.itemsize and promised:
        table = np.frombuffer(data, _FACET, promised, _HEADER)
        return _soup(path, table["corners"].reshape(-1, 3).astype(np.float64))
    if data[:512].lstrip().lower().startswith(b"solid") and b"facet" in data[:4096].lower():
        return _from_text(path, data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    if promised > 0 and len(data) > _HEADER + promised * _FACET.itemsize:
        table = np.frombuffer(data, _FACET, promised, _HEADER)  # some writers add a remark at the end
        return _soup(path, table["corners"].reshape(-1, 3).astype(np.float64))
    raise SpikeError(
        f"{path} is no whole STL file: its header promises {promised} triangles, found {len(data)} bytes; "
        "export it again"
    )


def _from_text(path: Path, data: bytes) -> Mesh:
    if b"endsolid" not in data[-4096:].lower():
        raise SpikeError(f"{path} is cut short: it has no endsolid; export it again")
    lines = _VERTEX.findall(data)
    loops = len(_LOOP_END.findall(data))
    values = numbers(path, b"\n".join(lines))
    if len(lines) != 3 * loops or values.size != 9 * loops:
        raise SpikeError(f"{path} has {len(lines)} corners for {loops} triangles; export it again")
    return _soup(path, values.reshape(-1, 3))


def _soup(path: Path, corners: np.ndarray) -> Mesh:
    return check_mesh(path, corners, np.arange(len(corners), dtype=np.int64).reshape(-1, 3))
