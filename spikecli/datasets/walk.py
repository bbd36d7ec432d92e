"""Find files in a folder, for every kind of data: follow links, ignore clutter, in a fixed order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from spikecli.errors import SpikeError, named
from spikecli.files.gate import file_hash, reading

# Names, in lower case, of what operating systems leave in a folder. Hidden names begin with a dot, .Trash among them.
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found", "@eadir"}
_COPY = re.compile(r"( \(\d+\)| - copy( \(\d+\))?| copy( \d+)?)$", re.IGNORECASE)
_Identity = tuple[int, int]  # device and number of a folder

T = TypeVar("T")


def is_clutter(name: str) -> bool:
    """Return whether a name is that of a hidden file or of an operating system's leftovers."""
    return name.startswith(".") or name.lower() in _CLUTTER


def folders_in(folder: Path) -> list[Path]:
    """Return the folders directly in `folder`, sorted; raise SpikeError for a broken link."""
    return [path for path in _entries(folder) if path.is_dir()]


def files_in(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Return the files directly in `folder` with one of the `suffixes` (lower case; any unless given), sorted."""
    if not folder.is_dir():
        return []
    return [path for path in _entries(folder) if path.is_file() and _wanted(path, suffixes)]


def walk(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Return all files under `folder` with one of the `suffixes` (lower case; any unless given), sorted by their parts.

    Links are followed. Raise SpikeError if one leads nowhere, or back to a folder that holds it.
    """
    found = [path for path in _below(folder, []) if _wanted(path, suffixes)]
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def all_folders(folder: Path) -> Iterator[Path]:
    """Yield `folder` and all folders under it, higher ones first; raise SpikeError as `walk` does."""
    level = [(folder, [_identity(folder)])]
    while level:
        yield from (path for path, _ in level)
        level = [(child, _deeper(child, above)) for path, above in level for child in folders_in(path)]


def identify(source: Path) -> str:
    """Return a line that changes whenever the archive or folder `source`, or a link's target in it, changes.

    Raise SpikeError if it is not there.
    """
    if source.is_file():
        return f"{source.name} sha256:{file_hash(source)}"
    if not source.is_dir():
        raise SpikeError(f"found nothing at {source}; wanted a folder or an archive; check {named('source')}")
    return f"{source.name} listing:{listing_hash(source, walk(source))}"


def listing_hash(folder: Path, files: Iterable[Path]) -> str:
    """Return the sha256 of names, sizes and times of the `files`, links followed."""
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def refuse_twins(items: Iterable[T], key_of: Callable[[T], tuple[object, ...]], path_of: Callable[[T], Path]) -> None:
    """Raise SpikeError if two items are the same sample: of one key, or copies of it such as `name (1).h5`.

    The last part of a key is the sample's name, the others say where it belongs, such as split and class.
    """
    seen: dict[tuple[object, ...], Path] = {}
    for item in items:
        key = key_of(item)
        if key in seen:
            raise _twins(seen[key], path_of(item))
        seen[key] = path_of(item)
    for (*place, name), path in seen.items():
        original = (*place, _COPY.sub("", str(name)))
        if original != (*place, name) and original in seen:
            raise _twins(seen[original], path)


def original_of(path: Path) -> Path | None:
    """Return the original beside `path` if that seems to be a copy, such as `name.h5` for `name (1).h5`; else None."""
    stem = _COPY.sub("", path.stem)
    other = path.with_name(stem + path.suffix)
    return other if stem != path.stem and other.is_file() else None


def _twins(one: Path, other: Path) -> SpikeError:
    return SpikeError(f"found {one} and {other}, the same sample twice; wanted each once; remove one of them")


def _entries(folder: Path) -> list[Path]:
    with reading(folder, "check the folder"):
        found = sorted(path for path in folder.iterdir() if not is_clutter(path.name))
    for path in found:
        if path.is_symlink() and not path.exists():
            raise SpikeError(f"found the link {path}, which leads nowhere; mend it or remove it")
    return found


def _below(folder: Path, above: list[_Identity]) -> Iterator[Path]:
    above = [*above, _identity(folder)]
    for path in _entries(folder):
        if path.is_dir():
            _deeper(path, above)
            yield from _below(path, above)
        elif path.is_file():
            yield path


def _deeper(folder: Path, above: list[_Identity]) -> list[_Identity]:
    """Return the chain of folders down to `folder`; raise SpikeError if a link makes it its own ancestor."""
    here = _identity(folder)
    if here in above:
        raise SpikeError(f"found the link {folder}, which leads back to a folder above it; remove the link")
    return [*above, here]


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _wanted(path: Path, suffixes: Collection[str]) -> bool:
    return not suffixes or path.suffix.lower() in suffixes
