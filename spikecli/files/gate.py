"""Reading of files: every fault becomes a one-line SpikeError that names the file."""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
import pickle
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError

# What parsers raise on bytes that are none of theirs. numpy, HDF5, torch and the standard library promise little here,
# and a file from outside must never end in a traceback; the cause is kept for debugging a parser.
DAMAGE: tuple[type[Exception], ...] = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError, SyntaxError,
    AssertionError, MemoryError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
    tokenize.TokenError, pickle.UnpicklingError, csv.Error,
)  # fmt: skip
_LONGEST = 120  # letters of a reason

# Where a file may claim more than it holds (compression, holes): what it may unpack to without being a bomb.
FREE_BYTES = 64 << 20
LARGEST_RATIO = 100


@contextmanager
def reading(path: Path, cure: str, *also: type[Exception]) -> Iterator[None]:
    """Raise SpikeError, with `cure`, if the block, which reads `path`, finds it missing, damaged or too large."""
    try:
        yield
    except FileNotFoundError as error:
        raise SpikeError(f"found no file {error.filename or path}; check the path") from error
    except MemoryError as error:
        raise SpikeError(f"{path} does not fit into memory; {cure}") from error
    except (*DAMAGE, *also) as error:
        if isinstance(error, OSError) and error.errno:
            raise SpikeError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error
        raise SpikeError(f"{path} is damaged, cut short or of another kind ({reason_of(error)}); {cure}") from error


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's message; its type's name if it has none."""
    lines = str(error).splitlines()
    return (lines[0] if lines and lines[0] else type(error).__name__)[:_LONGEST]


def read_text(path: Path, cure: str) -> str:
    """Return the text of a UTF-8 file without a byte-order mark; raise SpikeError if it is unreadable or not UTF-8."""
    with reading(path, cure):
        return path.read_text(encoding="utf-8-sig")


def read_lines(path: Path, cure: str) -> list[str]:
    """Return the non-empty lines of a UTF-8 file, stripped; raise SpikeError as `read_text` does."""
    return [line.strip() for line in read_text(path, cure).splitlines() if line.strip()]


def read_json(path: Path, shape: Any, cure: str) -> Any:
    """Return the value in a JSON file; raise SpikeError if it is not JSON or lacks the `shape` (see `fits`)."""
    text = read_text(path, cure)
    with reading(path, cure):
        value = json.loads(text)
    if not fits(value, shape):
        raise SpikeError(f"{path} does not say what it should; {cure}")
    return value


def fits(value: Any, shape: Any) -> bool:
    """Return whether a JSON value has a shape.

    A shape is a type (True and False are no int, an int is a float), a function that says yes or no, a tuple of shapes
    of which one must fit, [shape] for a list of such, {str: shape} for such a value under any key, or {"key": shape, …}
    for the keys that must be there among others.
    """
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and _mapping_fits(value, shape)
    if isinstance(shape, type):
        kinds = (int, float) if shape is float else (shape,)
        return isinstance(value, kinds) and (shape is bool or not isinstance(value, bool))
    return bool(shape(value))


def _mapping_fits(value: Mapping[str, Any], shape: Mapping[Any, Any]) -> bool:
    if str in shape:
        return all(fits(one, shape[str]) for one in value.values())
    return all(key in value and fits(value[key], one) for key, one in shape.items())


def is_plain_name(value: Any) -> bool:
    """Return whether a value is a bare file name, not a path to another folder."""
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0:")


def is_header(value: Any) -> bool:
    """Return whether a value is text that is allowed in a request header."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def at_least(least: int) -> Callable[[Any], bool]:
    """Return the shape of whole numbers ≥ `least`."""
    return lambda value: fits(value, int) and value >= least


def allowed_bytes(path: Path) -> int:
    """Return how many bytes a part of `path` may unpack to; more means a bomb or a false header."""
    return max(FREE_BYTES, LARGEST_RATIO * path.stat().st_size)


def file_hash(path: Path) -> str:
    """Return the sha256 of a file; raise SpikeError if it cannot be read."""
    with reading(path, "check the path"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
