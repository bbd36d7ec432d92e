"""Numbers in text: parsed at native speed and checked."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spikecli.errors import SpikeError

LARGEST = 1e30  # a coordinate beyond it is damage: its square does not fit into float32
BLOCK = 4 << 20  # bytes of text that are parsed at once, so that no whole file lies in memory as float64
_SPACE = b" \t\n\r\v\f"
NOT_A_NUMBER = re.compile(rb"[-+]?(nan\([^\s)]*\)|1\.?#[a-z]+\d*)", re.IGNORECASE)  # as Windows and C write it


def plain_lines(data: bytes) -> bytes:
    """Return the bytes of a text file in UTF-8 with line feeds, without a byte-order mark.

    Raise UnicodeDecodeError if it claims to be UTF-16 and is not.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def numbers(path: Path, text: bytes) -> np.ndarray:
    """Return the numbers of white-space separated `text`, float64 (n,); raise SpikeError if a word is no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            if NOT_A_NUMBER.search(text):
                return numbers(path, NOT_A_NUMBER.sub(b"nan", text))
            bad = next((word for word in text.split() if not _is_number(word)), b"a control character")
            found = bad[:20].decode("utf-8", "replace")
            raise SpikeError(f"{path} holds {found!r} where a number was wanted; write the file again") from None


def number_table(path: Path, text: bytes, start: int, rows: int, width: int, wanted: Sequence[int]) -> np.ndarray:
    """Return the columns `wanted`, float64 (rows or fewer, len(wanted)), of the rows of `width` numbers from `start`.

    The text is parsed block by block. Fewer rows come back where the text ends early; what follows them is not read.
    """
    table = np.empty((min(rows, (len(text) - start) // (2 * width) + 1), len(wanted)))
    done, rest = 0, np.empty(0)
    for block in blocks(text, start):
        values = np.concatenate([rest, numbers(path, block)])
        whole = min(len(values) // width, rows - done)
        table[done : done + whole] = values[: whole * width].reshape(whole, width)[:, list(wanted)]
        done, rest = done + whole, values[whole * width :]
        if done == rows:
            break
    return table[:done]


def blocks(text: bytes, start: int = 0, ends: bytes = _SPACE) -> Iterator[bytes]:
    """Yield `text` from `start` in pieces of about BLOCK bytes that end at one of the bytes `ends`."""
    while start < len(text):
        stop = start + BLOCK
        if stop < len(text):
            places = [text.find(end, stop) for end in (bytes([one]) for one in ends)]
            stop = min((place + 1 for place in places if place >= 0), default=len(text))
        yield text[start:stop]
        start = stop


def check_finite(path: Path, values: np.ndarray) -> None:
    """Raise SpikeError if a coordinate is NaN, infinite, or so large that its square is."""
    if not (np.abs(values) < LARGEST).all():
        raise SpikeError(f"{path} has a coordinate that is not a finite number; remove the point or the file")


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
