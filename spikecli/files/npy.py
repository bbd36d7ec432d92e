""".npy and .npz files: headers are checked against the file's size, nothing is unpickled."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from pathlib import Path

import numpy as np

from spikecli.files.gate import allowed_bytes

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def plain_array(data: bytes) -> np.ndarray:
    """Return the array in the bytes of a .npy file; raise ValueError or another error if they are no array of numbers.

    The array is a view of `data`, so a header that claims more than the file holds takes no memory.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"format {version}, wanted (1, 0) or (2, 0)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on headers that Python 2 wrote
        shape, columns_first, kind = _READERS[version](stream)
    if kind.hasobject or not kind.itemsize:
        raise ValueError(f"{kind}, wanted numbers without objects")
    if any(side < 0 for side in shape):
        raise ValueError(f"shape {shape}")
    count, room = math.prod(shape), len(data) - stream.tell()
    if count * kind.itemsize > room:
        raise ValueError(f"{kind} {shape} in {room} bytes")
    array = np.frombuffer(data, kind, count, stream.tell()) if count else np.empty(0, kind)
    return array.reshape(shape, order="F" if columns_first else "C")


def npz_shapes(path: Path, data: bytes) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array in the bytes of a .npz file, the file `path`.

    ValueError, among others, when it is damaged or would unpack to far more than the file holds.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > allowed_bytes(path):
            raise ValueError("arrays that unpack to far more than the file holds")
        names = [info.filename for info in archive.infolist() if info.filename.endswith(".npy")]
        return {name[: -len(".npy")]: plain_array(archive.read(name)).shape for name in names}


def npz_member(path: Path, data: bytes, name: str) -> np.ndarray:
    """Return one array of a .npz file that `npz_shapes` has looked at."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return plain_array(archive.read(f"{name}.npy"))
