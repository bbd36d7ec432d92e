"""Encoders of event files from the formats' definitions, so that readers meet real bytes without real files."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]  # x, y, t, p


def some_events(count: int, width: int, height: int, seed: int = 0, length: int = 300_000) -> list[Event]:
    """Return `count` events in order of time, both polarities."""
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(0, length, count))
    rows = zip(
        generator.integers(0, width, count),
        generator.integers(0, height, count),
        times,
        np.arange(count) % 2,
        strict=True,
    )
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in rows]


def bin_bytes(events: Iterable[Event]) -> bytes:
    return b"".join(bytes([x, y]) + struct.pack(">I", p << 23 | t)[1:] for x, y, t, p in events)


def aedat2_bytes(events: Iterable[Event], on_its_side: bool = False) -> bytes:
    """A DVS128's own files: x from the right in bits 1–7, y upward in 8–14, 0 for brighter; and one special event.

    CIFAR10-DVS was filmed with the camera on its side.
    """
    if on_its_side:
        events = [(y, x, t, p) for x, y, t, p in events]
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file created by saveaerdat.m\r\n# End of header\r\n"
    body = [struct.pack(">II", (127 - y) << 8 | (127 - x) << 1 | (1 - p), t) for x, y, t, p in events]
    return head + struct.pack(">II", 0x8000, 0) + b"".join(body)


def aedat3_bytes(events: Iterable[Event], packet: int = 100) -> bytes:
    """DVS128 Gesture's own files; a packet ends with an invalid event and room for one more; IMU packets between."""
    rows = list(events)
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for start in range(0, len(rows), packet):
        part = rows[start : start + packet]
        body = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for x, y, t, p in part)
        body += struct.pack("<II", 5 << 17, part[-1][2]) + bytes(8)
        number = len(part) + 1
        out += struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, number + 1, number, len(part)) + body
        out += struct.pack("<HHIIIIII", 3, 1, 36, 4, 0, 1, 1, 1) + bytes(36)
    return out


def aedat4_bytes(events: Iterable[Event], compression: int = 1, packet: int = 100) -> bytes:
    import cramjam

    squeeze = {0: bytes, 1: cramjam.lz4.compress, 3: cramjam.zstd.compress}[compression]
    info = (
        b'<dv version="2.0"><node name="outInfo" path="/mainloop/"><node name="0" path="/0/">'
        b'<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/0/info/">'
        b'<attr key="sizeX" type="int">128</attr><attr key="sizeY" type="int">128</attr></node></node>'
        b'<node name="1" path="/1/"><attr key="typeIdentifier" type="string">IMUS</attr></node></node></dv>'
    )
    # Root offset, identifier, vtable (size, table size, three fields), table, string.
    head = struct.pack("<I4sHHHHHxxxxxx", 24, b"IOHE", 10, 20, 16, 8, 4)
    head += struct.pack("<iIqi", 16, 16, -1, compression) + struct.pack("<I", len(info)) + info + b"\0"
    out = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head
    rows = list(events)
    for start in range(0, len(rows), packet):
        part = rows[start : start + packet]
        for stream, name, structs in ((0, b"EVTS", part), (1, b"IMUS", [])):
            body = struct.pack("<I4sHHHxx", 16, name, 6, 8, 4) + struct.pack("<iIII", 8, 8, 0, len(structs))
            body += b"".join(struct.pack("<qhhBxxx", t, x, y, p) for x, y, t, p in structs)
            squeezed = bytes(squeeze(struct.pack("<I", len(body)) + body))
            out += struct.pack("<iI", stream, len(squeezed)) + squeezed
    return out


def davis_bytes(events: Iterable[Event], size: tuple[int, int] = (240, 180), camera: str = "DAVIS240C") -> bytes:
    """A DAVIS's own files: x from the right in bits 12–21, y upward in 22–30; a frame's pixel and a trigger between."""
    head = f"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.{camera}\r\n#End Of ASCII Header\r\n".encode()
    body = [struct.pack(">II", (size[1] - 1 - y) << 22 | (size[0] - 1 - x) << 12 | p << 11, t) for x, y, t, p in events]
    return head + struct.pack(">IIII", 1 << 31 | 5 << 12, 0, 1 << 10, 0) + b"".join(body)


def dat_bytes(
    events: Iterable[Event],
    header: str = "% Data file\n% Version 2\n% Width 304\n% Height 240\n",
    version: int = 2,
) -> bytes:
    if version < 2:
        body = b"".join(struct.pack("<II", t, p << 17 | y << 9 | x) for x, y, t, p in events)
        return f"% Data file containing TD events.\n% Version {version}\n".encode() + bytes([0, 8]) + body
    body = b"".join(struct.pack("<II", t, p << 28 | y << 14 | x) for x, y, t, p in events)
    return header.encode() + bytes([12, 8]) + body


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def structured(events: list[Event], names: str = "xytp") -> np.ndarray:
    kind = np.dtype([(name, "<i8") for name in names])
    return np.array([tuple(event["xytp".index(name)] for name in names) for event in events], kind)
