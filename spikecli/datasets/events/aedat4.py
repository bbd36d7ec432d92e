"""Decoder of AEDAT 4 (DV): FlatBuffers packets under LZ4 or Zstandard, of one event stream among others."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from spikecli.datasets.events.columns import (
    Columns,
    Size,
    broken,
    claimed,
    most_events,
    one_stream,
    other_streams,
    sensor_of,
)  # fmt: skip
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError
from spikecli.files.flatbuffer import FlatTable, first_vector

_EVENT = np.dtype(
    {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12], "itemsize": 16}
)
_MAGIC = b"#!AER-DAT4.0\r\n"
_PACKET = struct.Struct("<iI")  # number of the stream, bytes
_AT_ONCE = 1 << 19  # bytes of events
_LEAST_ROOM = 1 << 16  # bytes that a packet unpacks to; more is made where more is needed


@dataclass(frozen=True)
class _Stream:
    """An event stream in the header: the module that recorded it, and its sensor."""

    camera: str
    size: Size | None

    def __str__(self) -> str:
        words = [self.camera, f"{self.size[0]} x {self.size[1]}" if self.size else ""]
        return f" ({', '.join(word for word in words if word)})" if any(words) else ""


def read_aedat4(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of one event stream: the first that holds any, or the one of `options.stream`.

    Of a file that a crash has cut, the whole packets are read and a note says so.
    """
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        broken(path, f"a first line {data[:16]!r}", "#!AER-DAT4.0")
    try:
        header = FlatTable(data, len(_MAGIC))
        compression, table_at, info = header.integer(0, "<i"), header.integer(1, "<q", -1), header.text(2)
        streams = _event_streams(path, info)
        start = len(_MAGIC) + 4 + struct.unpack_from("<I", data, len(_MAGIC))[0]
        packets, notes = _packets(path, data, start, table_at if 0 < table_at <= len(data) else len(data))
        names = {number: str(stream) for number, stream in streams.items()}
        for chosen in one_stream(path, names, options.stream):
            events = _Unpacker(path, data, compression).events(packets.get(chosen, []))
            if len(events.t):
                break
    except (struct.error, ValueError) as error:
        broken(path, f"a packet that does not add up ({error})", "AEDAT 4 packets")
    notes = (*notes, *other_streams(names, chosen, options.stream))
    return events._replace(size=streams[chosen].size, notes=notes)


def _event_streams(path: Path, info: str) -> dict[int, _Stream]:
    """Return the event streams in the header's XML, by number; raise SpikeError if there is none."""
    try:
        root = ElementTree.fromstring(info)
    except ElementTree.ParseError as error:
        broken(path, f"a header that is no XML ({error})", "the list of streams in XML")
    streams = {}
    for node in root.iter("node"):
        words = {attribute.get("key"): (attribute.text or "").strip() for attribute in node.findall("attr")}
        if words.get("typeIdentifier") == "EVTS" and node.get("name", "").isdecimal():
            below = node.find("node[@name='info']")
            inner = {} if below is None else {a.get("key"): (a.text or "").strip() for a in below.findall("attr")}
            size = sensor_of(path, inner.get("sizeX", ""), inner.get("sizeY", ""))
            streams[int(node.get("name", ""))] = _Stream(words.get("originalModuleName") or "", size)
    if not streams:
        raise SpikeError(f"{path} holds no stream of events; wanted one of type EVTS; record events, not only frames")
    return streams


_Places = dict[int, list[tuple[int, int]]]  # where the packets of each stream begin and end


def _packets(path: Path, data: bytes, position: int, end: int) -> tuple[_Places, tuple[str, ...]]:
    places: _Places = {}
    while position < end:
        begin = position + _PACKET.size
        number, length = _PACKET.unpack_from(data, position) if begin <= len(data) else (0, 1 << 32)
        if begin + length > len(data):
            whole = sum(len(some) for some in places.values())
            if not whole:
                broken(path, "its first packet cut off at the end of the file", "whole packets")
            return places, (f"the last packet is cut off, as by a crash: read the {whole} whole packets before it",)
        position = begin + length
        if length:  # what follows on a disk that was prepared for more is zeros
            places.setdefault(number, []).append((begin, position))
    return places, ()


def _columns(some: bytearray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    events = np.frombuffer(some, _EVENT)
    return events["x"].copy(), events["y"].copy(), events["t"].copy(), (events["p"] != 0).astype(np.uint8)


class _Unpacker:
    """Unpacks the packets of one file into one buffer, which grows up to the largest size of a valid packet."""

    def __init__(self, path: Path, data: bytes, compression: int) -> None:
        import cramjam

        if compression not in range(5):
            broken(path, f"compression number {compression}", "0 to 4")
        self.path, self.data = path, memoryview(data)
        self.unpack = {1: cramjam.lz4, 2: cramjam.lz4, 3: cramjam.zstd, 4: cramjam.zstd}.get(compression)
        self.trouble = cramjam.DecompressionError
        self.room = bytearray(_LEAST_ROOM)
        self.most = _LEAST_ROOM + _EVENT.itemsize * most_events(path)

    def events(self, places: list[tuple[int, int]]) -> Columns:
        """Return the events of the packets at `places`, one after the other."""
        parts, some, count, most = [], bytearray(), 0, most_events(self.path)
        for begin, end in places:
            packet, length = self._unpacked(self.data[begin:end])
            start, number = first_vector(packet, length, _EVENT.itemsize)
            some += memoryview(packet)[start : start + number * _EVENT.itemsize]
            count += number
            if count > most:
                claimed(self.path, count)
            if len(some) > _AT_ONCE:  # taken apart while it is near
                parts.append(_columns(some))
                some = bytearray()
        parts.append(_columns(some))
        x, y, t, p = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Columns(x, y, t, p)

    def _unpacked(self, packet: memoryview) -> tuple[bytearray | memoryview, int]:
        """Return a buffer that begins with the unpacked packet, and how long that is."""
        if self.unpack is None:
            return packet, len(packet)
        while True:
            try:
                return self.room, self.unpack.decompress_into(packet, self.room)
            except self.trouble as error:
                # Nothing says beforehand what a packet unpacks to: one that does not fit is tried with more room.
                if "whole buffer" not in str(error) or len(self.room) >= self.most:
                    broken(self.path, f"a packet that cannot be unpacked ({error})", "LZ4 or Zstandard")
                self.room = bytearray(min(8 * len(self.room), self.most))
