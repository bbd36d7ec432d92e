"""HDF5 files: written atomically; read without external links, and never beyond the file's size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.errors import SpikeError
from spikecli.files import ecf
from spikecli.files.atomic import atomic_path
from spikecli.files.extras import command
from spikecli.files.gate import allowed_bytes, reading
from spikecli.files.heaps import check_heaps
from spikecli.files.sink import Sink, signals_wait

if TYPE_CHECKING:
    import h5py  # at run time in the functions: whoever reads no such file need not wait for it


@dataclass(frozen=True)
class Stored:
    """An HDF5 file open for reading. Faults raise ValueError, which the gate turns into one line."""

    path: Path
    file: h5py.File

    def names(self) -> set[str]:
        """Return the names, with groups, of all data sets stored in this file itself."""
        import h5py

        found: set[str] = set()
        self.file.visititems(lambda name, item: found.add(name) if isinstance(item, h5py.Dataset) else None)
        return found

    def dataset(self, name: str, kinds: str, *shape: int | None) -> h5py.Dataset:
        """Return a data set of this file; raise ValueError unless its dtype is in `kinds` and its sides are `shape`."""
        import h5py

        place: Any = self.file
        for part in name.split("/"):
            # A link may lead to another file, or to whatever the user who runs this may read.
            if not isinstance(place, h5py.Group) or not isinstance(place.get(part, getlink=True), h5py.HardLink):
                raise ValueError(f"no {name} in the file itself")
            place = place[part]
        if not isinstance(place, h5py.Dataset) or place.external or place.is_virtual:
            raise ValueError(f"{name} does not lie in the file itself")
        if place.dtype.kind not in kinds:
            raise ValueError(f"{name} is of type {place.dtype}")
        sides = place.shape or ()
        if shape and (
            len(sides) != len(shape) or any(n not in (None, side) for n, side in zip(shape, sides, strict=True))
        ):
            raise ValueError(f"{name} has the shape {sides}")
        if math.prod(sides) * place.dtype.itemsize > allowed_bytes(self.path):
            raise ValueError(f"{name} claims {math.prod(sides)} values, far more than the file can hold")
        return place

    def array(self, name: str, kinds: str, *shape: int | None) -> np.ndarray:
        """Return the values of a data set, checked as by `dataset`."""
        return self.values(self.dataset(name, kinds, *shape))

    def mapped(self, name: str, kinds: str, *shape: int | None) -> np.ndarray:
        """Return the values of a data set, checked as by `dataset`; they are read when they are looked at.

        Writing to them does not reach the file. Those that are packed, or in pieces, are read at once.
        """
        found = self.dataset(name, kinds, *shape)
        start = found.id.get_offset()
        if start is None or not found.size or self.file.userblock_size:
            return self.values(found)
        return np.memmap(self.path, found.dtype, "c", start, found.shape)

    def values(self, dataset: h5py.Dataset) -> np.ndarray:
        """Return the values of a data set; raise SpikeError if the filter to decompress it is missing."""
        missing = _missing_filters(dataset)
        if missing == [_FILTERS[ecf.FILTER]] and set("xypt") <= set(dataset.dtype.names or ()) and dataset.ndim == 1:
            return _unpacked(dataset)
        if missing:
            raise SpikeError(
                f"{self.path} is compressed by the HDF5 filter {missing[0]}, which is not installed here; wanted it or "
                f"a file without; {command('hdf5plugin')} brings Blosc, Zstandard, LZ4 and more"
            )
        if dataset.dtype.kind == "O":
            check_heaps(self.path)
        return np.asarray(dataset[()])

    def attribute(self, place: h5py.Group | h5py.Dataset, name: str) -> Any:
        """Return the value of an attribute of the file, a group or a data set."""
        if place.attrs.get_id(name).dtype.kind == "O":
            check_heaps(self.path)
        return place.attrs[name]

    def texts(self, name: str, count: int | None = None) -> tuple[str, ...]:
        """Return the texts of a data set; raise ValueError unless there are `count`, if it is given."""
        found = self.dataset(name, "OS", count)
        check_heaps(self.path)
        return tuple(found.asstr()[()])

    def text(self, name: str) -> str:
        """Return an attribute that is text."""
        value = self.attribute(self.file, name)
        if not isinstance(value, str):
            raise TypeError(f"{name} is no text")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """Return an attribute that is a whole number in least … most."""
        value = self.attribute(self.file, name)
        if not isinstance(value, int | np.integer) or not least <= value <= most:
            raise ValueError(f"{name} is {str(value)[:20]!r}")
        return int(value)


# Filters by the numbers that the HDF Group has given them.
_FILTERS = {
    307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard",
    32017: "SZ", 32026: "Blosc2", 36559: "ECF (Metavision)",
}  # fmt: skip


def _missing_filters(dataset: h5py.Dataset) -> list[str]:
    """Return the names of a data set's filters that neither HDF5 nor hdf5plugin can undo."""
    import h5py

    steps = dataset.id.get_create_plist()
    numbers = [steps.get_filter(index)[0] for index in range(steps.get_nfilters())]
    if not all(map(h5py.h5z.filter_avail, numbers)):
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401 (registers its filters)
    return [_FILTERS.get(n, f"number {n}") for n in numbers if not h5py.h5z.filter_avail(n)]


def _unpacked(dataset: h5py.Dataset) -> np.ndarray:
    """Return the events (N,) of a data set in Metavision's codec, for which no package has a filter."""
    values = np.zeros(dataset.shape, dataset.dtype)
    for index in range(dataset.id.get_num_chunks()):
        start = dataset.id.get_chunk_info(index).chunk_offset[0]
        skipped, data = dataset.id.read_direct_chunk((start,))
        place = values[start : start + dataset.chunks[0]]
        if skipped:
            place[:] = np.frombuffer(data, dataset.dtype, len(place))
            continue
        chunk = ecf.decode_chunk(data)
        if len(chunk.t) < len(place):
            raise ValueError(f"{len(chunk.t)} events in a chunk of {len(place)}")
        for axis in "xypt":
            place[axis] = getattr(chunk, axis)[: len(place)]
    return values


@contextmanager
def stored(path: Path, cure: str) -> Iterator[Stored]:
    """Yield the HDF5 file at `path`; raise SpikeError with `cure` for any fault found in the block."""
    import h5py

    with reading(path, cure), h5py.File(path, "r") as file:
        yield Stored(path, file)


def check_labels(path: Path, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return labels (S,) as int64; raise SpikeError if one is outside 0 … classes − 1."""
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise SpikeError(f"{path} has the label {wrong}; wanted 0 to {classes - 1}; choose the right data set")
    return labels.astype(np.int64)


@contextmanager
def atomic_hdf5(path: Path) -> Iterator[Any]:
    """Yield an h5py.File open for writing that becomes `path` when the block ends well.

    Raise SpikeError on a full disk.
    """
    import h5py

    with atomic_path(path) as temporary, temporary.open("w+b", buffering=0) as raw:
        sink = Sink(raw)
        with signals_wait(sink):
            try:
                file = h5py.File(sink, "w", libver="latest")
                try:
                    sink.busy = False
                    yield file
                finally:
                    sink.busy = True
                    file.close()
            except (OSError, RuntimeError):
                if sink.failure is None:
                    raise
        if sink.failure is not None:
            raise sink.failure
