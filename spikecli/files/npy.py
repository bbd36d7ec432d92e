"""numpy's own files: headers read with suspicion, nothing unpickled, nothing claimed that is not there."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def plain_array(data: bytes) -> np.ndarray:
    """Return the array in the bytes of a .npy file; ValueError, among others, when they are no plain array of numbers.

    What is read is a view of `data`: a header that claims more than the file holds takes no memory.
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
