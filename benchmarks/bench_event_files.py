"""Reading event files: this package against second readers, in one run on the same files.

    pip install aedat faery
    python benchmarks/bench_event_files.py

AEDAT 4 of one, two and four million events in packets of 50 and of 10,000 against `aedat`, EVT3 of four million
single events and of as many in vectors against `faery`. Both are native code. Events are drawn at random, so that LZ4
finds little to save. Readers take turns; each one's median of five rounds counts processor time. The peak is that of a
process that reads the file once, above what its imports took. Of EVT3 the decoder alone is measured too: the rest is
reading the bytes and checking range and order.
"""

from __future__ import annotations

import importlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cramjam
import numpy as np

from spikecli.datasets.events.evt3 import decode_evt3
from spikecli.datasets.events.recording import read_events

EVENTS, ROUNDS, SIZE = 4_000_000, 5, (346, 260)
_PACKED = {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12]}


def write_aedat4(path: Path, packet: int, rng: np.random.Generator, count: int = EVENTS) -> Path:
    """Write random events of a DAVIS346 in packets of so many, under LZ4."""
    events = np.zeros(count, np.dtype({**_PACKED, "itemsize": 16}))
    events["t"] = np.sort(rng.integers(0, 20_000_000, count))
    events["x"], events["y"] = (rng.integers(0, side, count) for side in SIZE)
    events["p"] = rng.integers(0, 2, count)
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
        for start in range(0, count, packet):
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


def _decoder(path: Path) -> int:
    data = path.read_bytes()
    start = data.index(b"% end\n") + len(b"% end\n")
    words = np.frombuffer(data, "<u2", offset=start)
    return len(decode_evt3(words).t)


def _seconds(path: Path, *readers: Callable[[Path], int]) -> list[float]:
    """Return the median seconds of each reader, which take turns; all must find the same number of events."""
    rounds: list[list[float]] = [[] for _ in readers]
    counts = set()
    for _ in range(ROUNDS):
        for read, seconds in zip(readers, rounds, strict=True):
            start = time.process_time()
            counts.add(read(path))
            seconds.append(time.process_time() - start)
    assert len(counts) == 1, counts
    return [statistics.median(seconds) for seconds in rounds]


_PEAK = """
import sys
from pathlib import Path
import cramjam
from spikecli.datasets.events.recording import read_events
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
before = peak()
events = read_events(sys.argv[1])
print(peak() - before)
"""


def _peak(path: Path) -> float:
    """Return the bytes that reading takes at its peak, in sizes of the file."""
    done = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024 / path.stat().st_size


def _ours(path: Path) -> int:
    return len(read_events(path))


def _versions() -> str:
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "aedat", "faery"))


def main() -> None:
    """Print seconds of each reader on each file, their ratio, and how much memory ours took."""
    rng = np.random.default_rng(0)
    sys.stdout.write(_versions() + "\n")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "a.aedat4"
        for packet in (50, 10_000):
            for count in (EVENTS // 4, EVENTS // 2, EVENTS):
                mine, theirs = _seconds(write_aedat4(path, packet, rng, count), _ours, _aedat)
                sys.stdout.write(
                    f"AEDAT 4, packets of {packet}, {count:,} events, {path.stat().st_size / 1e6:.0f} MB: "
                    f"ours {mine:.2f} s, aedat {theirs:.2f} s, ratio {mine / theirs:.2f}; "
                    f"peak {_peak(path):.1f} times the file\n"
                )
        path = Path(scratch) / "a.raw"
        for vectors in (False, True):
            write_evt3(path, vectors, rng)
            mine, alone, theirs = _seconds(path, _ours, _decoder, _faery)
            rates = [_ours(path) / seconds / 1e6 for seconds in (mine, alone, theirs)]
            sys.stdout.write(
                f"EVT3, {'vectors' if vectors else 'single events'}: ours {rates[0]:.1f} M/s, the decoder alone "
                f"{rates[1]:.1f}, {alone / mine:.0%} of its speed; faery {rates[2]:.1f}\n"
            )


if __name__ == "__main__":
    main()
