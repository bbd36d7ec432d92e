"""Decoders of the AEDAT family: 2.0 (jAER), 3.1 (cAER, DVS128 Gesture) and 4 (DV).

tonic's own readers of 2.0 and 3.1 fail on the header and, where they work, keep DVS128's mirrored axes and inverted
polarity; its reader of 4 needs a package that tonic does not install. These are checked against both bytes and peers.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, broken, claimed, most_events, unwrapped
from spikecli.errors import SpikeError

DVS128: Size = (128, 128)
_POLARITY = 1  # the packet type of AEDAT 3.1 that holds polarity events
_PACKET = struct.Struct("<HHIIIIII")  # type, source, event size, time offset, overflows, capacity, number, valid


def read_aedat(path: Path) -> Columns:
    """Return the events of an .aedat file, whose first line says its version: 2.0, 3.1 or 4."""
    data = path.read_bytes()
    match = re.match(rb"#!AER-DAT(\d)\.\d\r?\n", data)
    version = match[1] if match else b""
    if version == b"2":
        return _read_aedat2(path, data)
    if version == b"3":
        return _read_aedat3(path, data)
    if version == b"4":
        return read_aedat4(path)
    wanted = "#!AER-DAT2.0, 3.1 or 4.0"
    return broken(path, f"a first line {data[:16]!r}", wanted)


def _read_aedat2(path: Path, data: bytes) -> Columns:
    """Return the events of a DVS128: big-endian address and time; bit 15 marks what is no pixel's event.

    The chip counts x from the right, and jAER draws y upward; CIFAR10-DVS was filmed with the camera on its side
    besides. So an upright picture has 127 − (address bits 8–14) as x, 127 − (bits 1–7) as y, and on where bit 0 is 0.
    """
    start = 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            broken(path, "a header without an end", "lines that begin with #, then events")
        start = end + 1
    if (len(data) - start) % 8:
        broken(path, f"{len(data) - start} bytes of events", "eight bytes an event")
    words = np.frombuffer(data, ">u4", offset=start).reshape(-1, 2).astype(np.uint32)
    if len(words) and int(words[:, 0].max()) >> 16:
        broken(path, "addresses of more than 16 bits", "the addresses of a 128 x 128 DVS128")
    words = words[words[:, 0] >> 15 == 0]
    address = words[:, 0].astype(np.uint16)
    x, y = 127 - ((address >> 8) & 127), 127 - ((address >> 1) & 127)
    return Columns(x, y, unwrapped(words[:, 1], 32), (1 - (address & 1)).astype(np.uint8), DVS128)


def _read_aedat3(path: Path, data: bytes) -> Columns:
    """Return the valid polarity events of AEDAT 3.1 packets; other packets (frames, IMU, specials) are passed over."""
    mark = b"#!END-HEADER\r\n"
    position = data.find(mark)
    if position < 0:
        broken(path, "no end of the header", "a line #!END-HEADER")
    position += len(mark)
    parts = [np.empty((0, 2), "<u4")]
    times = [np.empty(0, np.int64)]
    while position < len(data):
        if position + _PACKET.size > len(data):
            broken(path, f"{len(data) - position} bytes after the last packet", "a packet header of 28")
        kind, _, size, _, overflows, capacity, number, _ = _PACKET.unpack_from(data, position)
        position += _PACKET.size
        if number > capacity or position + capacity * size > len(data):
            broken(path, f"a packet of {number} of {capacity} events cut off at the end of the file", "whole packets")
        if kind == _POLARITY and size == 8:
            words = np.frombuffer(data, "<u4", 2 * number, position).reshape(-1, 2)
            parts.append(words)
            times.append(words[:, 1].astype(np.int64) + (overflows << 31))
        position += capacity * size
    words, t = np.concatenate(parts), np.concatenate(times)
    valid = words[:, 0] & 1 == 1
    address, t = words[valid, 0], t[valid]
    x, y = ((address >> 17) & 0x7FFF).astype(np.uint16), ((address >> 2) & 0x7FFF).astype(np.uint16)
    p = ((address >> 1) & 1).astype(np.uint8)
    fits = not len(x) or (int(x.max()) < DVS128[0] and int(y.max()) < DVS128[1])
    return Columns(x, y, t, p, DVS128 if fits else None)


_AEDAT4_EVENT = np.dtype(
    {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12], "itemsize": 16}
)
_MAGIC = b"#!AER-DAT4.0\r\n"
_ROOM = 1 << 16  # bytes of a packet besides its events


def read_aedat4(path: Path) -> Columns:
    """Return the events of the first event stream of an AEDAT 4 file: FlatBuffers packets under LZ4 or Zstandard."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        broken(path, f"a first line {data[:16]!r}", "#!AER-DAT4.0")
    try:
        header = _Table(data, len(_MAGIC))
        compression, table_at, info = header.integer(0, "<i"), header.integer(1, "<q", -1), header.text(2)
        stream, size = _event_stream(path, info)
        parts = [np.empty(0, _AEDAT4_EVENT)]
        end = table_at if 0 < table_at <= len(data) else len(data)
        position = len(_MAGIC) + 4 + struct.unpack_from("<I", data, len(_MAGIC))[0]
        room = bytearray(_ROOM + _AEDAT4_EVENT.itemsize * most_events(path))
        while position < end:
            number, length = struct.unpack_from("<iI", data, position)
            position += 8
            if position + length > len(data):
                broken(path, "a packet cut off at the end of the file", "whole packets")
            if number == stream:
                packet = _unpacked(path, compression, data[position : position + length], room)
                parts.append(_Table(packet, 0).structs(0, _AEDAT4_EVENT))
                claimed(path, sum(len(part) for part in parts))
            position += length
    except (struct.error, ValueError) as error:
        broken(path, f"a packet that does not add up ({error})", "AEDAT 4 packets")
    events = np.concatenate(parts)
    return Columns(events["x"], events["y"], events["t"].astype(np.int64), (events["p"] != 0).astype(np.uint8), size)


def _event_stream(path: Path, info: str) -> tuple[int, Size | None]:
    """Return number and sensor of the first event stream that the header's XML names."""
    try:
        root = ElementTree.fromstring(info)
    except ElementTree.ParseError as error:
        broken(path, f"a header that is no XML ({error})", "the list of streams in XML")
    streams = {}
    for node in root.iter("node"):
        words = {attribute.get("key"): (attribute.text or "").strip() for attribute in node.findall("attr")}
        if words.get("typeIdentifier") == "EVTS" and node.get("name", "").isdecimal():
            below = node.find("node[@name='info']")
            size = {} if below is None else {a.get("key"): (a.text or "").strip() for a in below.findall("attr")}
            streams[int(node.get("name", ""))] = (size.get("sizeX", ""), size.get("sizeY", ""))
    if not streams:
        raise SpikeError(f"{path} holds no stream of events; wanted one of type EVTS; record events, not only frames")
    number = min(streams)
    width, height = streams[number]
    if not (width.isdecimal() and height.isdecimal()):
        return number, None
    if not (0 < int(width) <= 1 << 15 and 0 < int(height) <= 1 << 15):
        broken(path, f"a sensor of {width[:20]} x {height[:20]} pixels", "a width and height of at most 32768")
    return number, (int(width), int(height))


def _unpacked(path: Path, compression: int, packet: bytes, room: bytearray) -> bytes:
    """Return a packet unpacked by way of `room`, which is as large as an honest one can be."""
    import cramjam

    try:
        if compression in (1, 2):
            return bytes(room[: cramjam.lz4.decompress_into(packet, room)])
        if compression in (3, 4):
            return bytes(room[: cramjam.zstd.decompress_into(packet, room)])
    except cramjam.DecompressionError as error:
        broken(path, f"a packet that cannot be unpacked ({error})", "LZ4 or Zstandard")
    return packet if compression == 0 else broken(path, f"compression number {compression}", "0 to 4")


class _Table:
    """The root table of a FlatBuffer that begins with its own length; ValueError where it points outside itself."""

    def __init__(self, data: bytes, start: int) -> None:
        (length,) = struct.unpack_from("<I", data, start)
        self.data = data[start + 4 : start + 4 + length]
        if len(self.data) < length:
            raise ValueError(f"{length} bytes claimed, {len(self.data)} there")
        (self.at,) = struct.unpack_from("<I", self.data, 0)
        self.fields = self.at - struct.unpack_from("<i", self.data, self.at)[0]

    def _field(self, index: int) -> int:
        """Return where field `index` lies, or 0 when it has its default."""
        (size,) = struct.unpack_from("<H", self.data, self.fields)
        slot = 4 + 2 * index
        offset = struct.unpack_from("<H", self.data, self.fields + slot)[0] if slot < size else 0
        return self.at + offset if offset else 0

    def integer(self, index: int, form: str, default: int = 0) -> int:
        """Return the integer in field `index`."""
        at = self._field(index)
        return int(struct.unpack_from(form, self.data, at)[0]) if at else default

    def _vector(self, index: int) -> tuple[int, int]:
        """Return start and length of the vector in field `index`."""
        at = self._field(index)
        if not at:
            return 0, 0
        at += struct.unpack_from("<I", self.data, at)[0]
        return at + 4, struct.unpack_from("<I", self.data, at)[0]

    def text(self, index: int) -> str:
        """Return the string in field `index`."""
        at, length = self._vector(index)
        return self.data[at : at + length].decode("utf-8")

    def structs(self, index: int, kind: np.dtype) -> np.ndarray:
        """Return the vector of structs in field `index`."""
        at, length = self._vector(index)
        return np.frombuffer(self.data, kind, length, at) if length else np.empty(0, kind)
