"""Decoder of Prophesee's .raw: a header of % lines, then words of EVT2, EVT2.1 or EVT3, of 32, 64 and 16 bits.

Written from the published formats: docs.prophesee.ai, Data Encoding Formats.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikecli.datasets.events.columns import Columns, Size, percent_header, sensor_of
from spikecli.datasets.events.evt3 import decode_evt3
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError

_TIME_HIGH = 8
_VERSIONS = {"2": "2", "2.0": "2", "21": "2.1", "2.1": "2.1", "3": "3", "3.0": "3"}
_SOME_WORDS = 1 << 18  # decoded at a time, so that what a step leaves behind is still near
_BITS_EVT2 = 34  # of a time: 28 in a word of its own, 6 in each event's


def read_raw(path: Path, options: ReadOptions = AS_FOUND) -> Columns:
    """Return the events of a .raw file; events before its first time word are skipped, as they have no time."""
    data = path.read_bytes()
    start, fields = percent_header(path, data)
    version, words = _format_of(path, start, fields)
    size = _sensor(path, fields, words)
    if version == "2":
        columns = decode_evt2(_words(data, start, "<u4"))
    elif version == "2.1":
        order = words.get("endianness", "").lower()
        columns = decode_evt21(_words(data, start, "<u8"), order == "legacy")
        if not order and not len(columns.t):  # old files do not say that their halves are swapped
            columns = decode_evt21(_words(data, start, "<u8"), halves_swapped=True)
    else:
        columns = decode_evt3(_words(data, start, "<u2"))
    return columns._replace(size=size)


def _format_of(path: Path, start: int, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return 2, 2.1 or 3 and the settings beside it: `% format EVT3;height=720;width=1280`, before it `% evt 3.0`."""
    name, *rest = fields.get("format", "").split(";")
    words = dict(part.split("=", 1) for part in rest if "=" in part)
    said = (name or fields.get("evt", "")).strip()
    version = _VERSIONS.get(said.upper().removeprefix("EVT"))
    if version is None:
        found = f"no header ({start} bytes)" if not fields else f"the format {said[:20] or 'none'!r}"
        raise SpikeError(
            f"{path} has {found}; wanted a .raw of Prophesee with EVT2, EVT2.1 or EVT3 in its header; "
            "write it again with Metavision, or convert it to .h5"
        )
    return version, words


def _sensor(path: Path, fields: dict[str, str], words: dict[str, str]) -> Size | None:
    if {"width", "height"} <= set(words):
        return sensor_of(path, words["width"], words["height"])
    match = re.fullmatch(r"(\d+)x(\d+)", fields.get("geometry", ""))
    return sensor_of(path, match[1], match[2]) if match else None


def _words(data: bytes, start: int, kind: str) -> np.ndarray:
    """Return the words after the header; an incomplete last word, left by a crash, is dropped."""
    width = np.dtype(kind).itemsize
    return np.frombuffer(data, kind, (len(data) - start) // width, start)


def decode_evt2(words: np.ndarray) -> Columns:
    """Return the events of EVT2 words (N,) of 32 bits: type 4, time 6, x 11, y 11; type 8 has 28 bits of time."""
    kinds = words >> 28
    base, known = _bases(kinds, (words & 0x0FFFFFFF).astype(np.int64))
    events = (kinds <= 1) & known
    words, base = words[events], base[events]
    t = (base << 6) | ((words >> 22) & 0x3F)
    x, y = ((words >> 11) & 0x7FF).astype(np.uint16), (words & 0x7FF).astype(np.uint16)
    return Columns(x, y, t, (words >> 28).astype(np.uint8))


def decode_evt21(words: np.ndarray, halves_swapped: bool = False) -> Columns:
    """Return the events of EVT2.1 words (N,) of 64 bits: type 4, time 6, x 11, y 11, and 32 bits for x … x + 31."""
    if halves_swapped:
        words = (words << np.uint64(32)) | (words >> np.uint64(32))
    high, mask = (words >> np.uint64(32)).astype(np.uint32), words.astype(np.uint32)
    kinds = high >> 28
    base, known = _bases(kinds, (high & 0x0FFFFFFF).astype(np.int64))
    vectors = (kinds <= 1) & known
    high, base, mask = high[vectors], base[vectors], mask[vectors]
    row, bit = np.nonzero(np.unpackbits(mask.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little"))
    high, t = high[row], (base << 6 | ((high >> 22) & 0x3F))[row]
    x, y = (((high >> 11) & 0x7FF) + bit).astype(np.uint16), (high & 0x7FF).astype(np.uint16)
    return Columns(x, y, t, (high >> 28).astype(np.uint8))


def _bases(kinds: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each word the latest 28 bits of time, unwrapped, and whether there were any."""
    places = np.flatnonzero(kinds == _TIME_HIGH)
    if not len(places):
        return np.zeros(len(kinds), np.int64), np.zeros(len(kinds), bool)
    times = values[places]
    wraps = np.diff(times) < -(1 << 27)
    times[1:] += np.cumsum(wraps) << 28
    lengths = np.diff(np.append(places, len(kinds)))
    base = np.concatenate([np.zeros(places[0], np.int64), np.repeat(times, lengths)])
    return base, np.arange(len(kinds)) >= places[0]
