"""HDF5's heaps of texts: damaged ones are refused before libhdf5 reads them, which would never end."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from spikecli.datasets.events.recording import read_events
from spikecli.errors import SpikeError
from spikecli.files.heaps import check_heaps


def recording(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in {"x": [1, 2], "y": [3, 4], "t": [10, 20], "p": [0, 1]}.items():
            file[f"events/{name}"] = np.array(values, np.int64)
        file["events"].attrs["sensor_size"] = "128x128"
        file["notes"] = ["a", "bc", "x" * 5000]
    return path


def test_a_text_is_read_and_a_heap_that_does_not_end_is_one_line(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.h5")
    check_heaps(path)
    found = read_events(path)
    assert (found.width, found.height) == (128, 128)
    data = bytearray(path.read_bytes())
    text = data.index(b"128x128")
    length = text + 8 + 8  # of what comes after the text: the free rest, or the next object
    for wrong in (0, 2**64 - 1, 2**40):
        damaged = tmp_path / f"{wrong}.h5"
        data[length : length + 8] = wrong.to_bytes(8, "little")
        damaged.write_bytes(data)
        if wrong or data[text + 8 : text + 10] == b"\0\0":
            with pytest.raises(ValueError, match=f"object at byte {text + 8} does not end"):
                check_heaps(damaged)
            with pytest.raises(SpikeError) as told:
                read_events(damaged)
            assert "\n" not in str(told.value)


def test_bytes_that_only_look_like_a_heap_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"GCOL of some text, and GCOL")
    check_heaps(path)
    path.write_bytes(b"")
    check_heaps(path)
