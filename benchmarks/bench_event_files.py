"""Reading event files: this package against second readers, in one run on the same files.

    pip install aedat faery
    python benchmarks/bench_event_files.py

AEDAT 4 of four million events in packets of 50 and of 10,000 against `aedat`, EVT3 of four million single events and of
as many in vectors against `faery`. Both are native code. Events are drawn at random, so that LZ4 finds little to save;
each reader's median of five rounds counts processor time, and the peak is that of the process before and after.
"""

from __future__ import annotations

import importlib
import resource
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cramjam
import numpy as np

from spikecli.datasets.events.recording import read_events

EVENTS, ROUNDS, SIZE = 4_000_000, 5, (346, 260)
_PACKED = {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12]}


def write_aedat4(path: Path, packet: int, rng: np.random.Generator) -> Path:
    """Write random events of a DAVIS346 in packets of so many, under LZ4."""
    events = np.zeros(EVENTS, np.dtype({**_PACKED, "itemsize": 16}))
    events["t"] = np.sort(rng.integers(0, 20_000_000, EVENTS))
    events["x"], events["y"] = (rng.integers(0, side, EVENTS) for side in SIZE)
    events["p"] = rng.integers(0, 2, EVENTS)
    info = (
        '<dv version="2.0"><node name="outInfo" path="/mainloop/"><node name="0" path="/0/">'
        '<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/0/info/">'
        f'<attr key="sizeX" type="int">{SIZE[0]}</attr><attr key="sizeY" type="int">{SIZE[1]}</attr></node></node>'
        "</node></dv>"
    ).encode()
    head = struct.pack("<I4sHHHHHxxxxxx", 24, b"IOHE", 10, 20, 16, 8, 4)
    head += struct.pack("<iIqi", 16, 16, -1, 1) + struct.pack("<I", len(info)) + info + b"\0"
    with path.open("wb") as file:
        file.write(b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head)
        for start in range(0, EVENTS, packet):
            part = events[start : start + packet]
            body = struct.pack("<I4sHHHxx", 16, b"EVTS", 6, 8, 4) + struct.pack("<iIII", 8, 8, 0, len(part))
            body += part.tobytes()
            squeezed = bytes(cramjam.lz4.compress(struct.pack("<I", len(body)) + body))
            file.write(struct.pack("<iI", 0, len(squeezed)) + squeezed)
    return path


def write_evt3(path: Path, vectors: bool, rng: np.random.Generator) -> Path:
    """Write random events: four single ones in each row and time, or vectors of 12, 12 and 8 pixels, a quarter lit."""
    groups = EVENTS // (8 if vectors else 4)
    times, rows = np.sort(rng.integers(0, 4_000_000, groups)), rng.integers(0, 720, groups)
    words = np.empty((groups, 6), "<u2")
    words[:, 0], words[:, 1] = 6 << 12 | times & 4095, rows
    if vectors:
        lit = rng.integers(0, 4096, (groups, 3)) & rng.integers(0, 4096, (groups, 3))
        words[:, 2] = 3 << 12 | rng.integers(0, 2, groups) << 11 | rng.integers(0, 1200, groups)
        words[:, 3:] = np.array([4, 4, 5]) << 12 | lit & [4095, 4095, 255]
    else:
        words[:, 2:] = 2 << 12 | rng.integers(0, 2, (groups, 4)) << 11 | rng.integers(0, 1280, (groups, 4))
    changes = np.flatnonzero(np.diff(times >> 12, prepend=-1))
    stream = np.insert(words.ravel(), changes * 6, (8 << 12 | times[changes] >> 12 & 4095).astype("<u2"))
    path.write_bytes(b"% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n" + stream.tobytes())
    return path


def _aedat(path: Path) -> int:
    decoder = importlib.import_module("aedat").Decoder(str(path))
    return sum(len(packet["events"]) for packet in decoder if "events" in packet)


def _faery(path: Path) -> int:
    return sum(len(part) for part in importlib.import_module("faery").events_stream_from_file(str(path)))


def _seconds(read: Callable[[Path], int], path: Path) -> tuple[int, float]:
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        count = read(path)
        rounds.append(time.process_time() - start)
    return count, statistics.median(rounds)


def main() -> None:
    """Print events a second of each reader on each file, and how much memory ours took."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path, theirs in (
            (write_aedat4(folder / "packets-of-10000.aedat4", 10_000, rng), _aedat),
            (write_aedat4(folder / "packets-of-50.aedat4", 50, rng), _aedat),
            (write_evt3(folder / "single.raw", False, rng), _faery),
            (write_evt3(folder / "vectors.raw", True, rng), _faery),
        ):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            count, mine = _seconds(lambda file: len(read_events(file)), path)
            peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            line = f"{path.name}: {count:,} events, ours {mine:.2f} s ({count / mine / 1e6:.1f} M/s), +{peak:.0f} MB"
            try:
                other, seconds = _seconds(theirs, path)
                assert other == count
                line += f"; {theirs.__name__[1:]} {seconds:.2f} s, ratio {mine / seconds:.2f}"
            except ImportError as error:
                line += f"; {error}"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
