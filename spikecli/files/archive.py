"""Open a folder, or unpack an archive to one: no files outside it, no links, no bombs."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from spikecli.errors import SpikeError
from spikecli.files.atomic import make_folder, scratch_folder, unwritable
from spikecli.files.gate import DAMAGE, reason_of

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")

_FREE_BYTES = 256 << 20  # below this no archive is a bomb
_LARGEST_RATIO = 100  # a text mesh packs about tenfold
_MOST_FILES = 1_000_000
_BLOCK = 1 << 20
_DEEPEST = 3  # archives in one another
# A password asked for and a disk that fails are neither: they have lines of their own.
_DAMAGE: tuple[type[Exception], ...] = (
    *(kind for kind in DAMAGE if kind not in (OSError, RuntimeError)),
    NotImplementedError,
)

Member = tuple[PurePosixPath, Callable[[], IO[bytes] | None]]


def is_archive(path: Path) -> bool:
    """Return whether `path` has the suffix of an archive that `open_source` can unpack."""
    return path.name.lower().endswith(SUFFIXES)


@contextmanager
def open_source(path: Path, scratch: Path, on_step: Callable[[int], None] | None = None) -> Iterator[Path]:
    """Yield the folder `path`, or a folder inside `scratch` with the contents of the archive `path`.

    An archive that holds one archive alone is opened too. The unpacked folder is removed afterwards, and errors that
    name it show the archive's name. `on_step` is called for each file. Raise SpikeError if `path` is missing, is no
    archive, damaged, or would write outside the folder, through a link, or far more than an honest archive holds.
    """
    if path.is_dir():
        yield path
        return
    if not path.exists():
        raise SpikeError(f"found nothing at {path}; wanted a folder or an archive ({', '.join(SUFFIXES)})")
    if not is_archive(path):
        raise SpikeError(f"{path} is neither a folder nor an archive; wanted one of {', '.join(SUFFIXES)}")
    with scratch_folder(scratch) as folder:
        inner = folder
        try:
            inner = _unpack_all(path, folder, on_step or (lambda steps: None))
            yield inner
        except SpikeError as problem:
            text = str(problem).replace(str(inner), str(path)).replace(str(folder), str(path))
            raise (problem if text == str(problem) else SpikeError(text)) from problem.__cause__


def _unpack_all(path: Path, folder: Path, on_step: Callable[[int], None]) -> Path:
    """Return the folder inside `folder` with the archive's contents, or its one file if that is an archive."""
    allowed = max(_FREE_BYTES, _LARGEST_RATIO * path.stat().st_size)
    inner, place = path, folder
    for _ in range(_DEEPEST):
        _unpack(inner, place, allowed, on_step)
        files = [found for found in place.rglob("*") if found.is_file()]
        if len(files) != 1 or not is_archive(files[0]):
            return place
        inner, place = files[0], place / ".inside"  # no member has such a name: they count as clutter
        make_folder(place)
    raise SpikeError(f"{path} holds archives in archives, {_DEEPEST} deep; unpack it yourself and give the folder")


def _unpack(path: Path, folder: Path, allowed: int, on_step: Callable[[int], None]) -> None:
    members = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    room = shutil.disk_usage(folder).free
    written = count = 0
    try:
        for name, opened in members(path):
            count += 1
            if count > _MOST_FILES:
                raise SpikeError(f"{path} holds more than {_MOST_FILES} files; unpack it yourself and give the folder")
            content = opened()
            if content is None or _is_clutter(name):
                continue
            target = folder / name
            make_folder(target.parent)
            with content, target.open("wb") as out:
                while block := content.read(_BLOCK):
                    written += len(block)
                    if written > min(allowed, room):
                        raise _too_much(path, written, allowed, room)
                    out.write(block)
            on_step(1)
    except _DAMAGE as error:
        raise SpikeError(f"{path} is damaged or no archive ({reason_of(error)}); copy or fetch it again") from None
    except RuntimeError as error:
        raise SpikeError(f"{path} cannot be unpacked ({error}); unpack it yourself and give the folder") from None
    except OSError as error:
        if error.errno is None:
            raise SpikeError(f"{path} is damaged ({error}); copy or fetch it again") from None
        raise unwritable(folder, error) from error


def _too_much(path: Path, written: int, allowed: int, room: int) -> SpikeError:
    if room < allowed:
        return SpikeError(f"{path} unpacks to more than the {room >> 20} MiB that are free; free some space")
    return SpikeError(
        f"{path} unpacks to over {written >> 20} MiB, more than {_LARGEST_RATIO} times its size; "
        "if you trust it, unpack it yourself and give the folder"
    )


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _link(path, info.filename)
            name = _safe_name(path, info.filename.replace("\\", "/"))
            if not info.is_dir():
                yield name, lambda info=info: archive.open(info)  # type: ignore[misc]


def _tar_members(path: Path) -> Iterator[Member]:
    with tarfile.open(path, "r|*") as archive:
        for info in archive:
            if info.issym() or info.islnk():
                raise _link(path, info.name)
            name = _safe_name(path, info.name)
            if info.isfile():
                yield name, lambda info=info: archive.extractfile(info)  # type: ignore[misc]
            elif not info.isdir():
                raise SpikeError(f"{path} holds the device {info.name}; unpack what you need and give the folder")


def _safe_name(path: Path, name: str) -> PurePosixPath:
    pure = PurePosixPath(name)
    outside = pure.is_absolute() or ".." in pure.parts or ":" in (pure.parts or ("",))[0] or "\0" in name
    if outside:
        raise SpikeError(f"{path} holds {name!r}, which lies outside of it; do not trust this archive")
    return pure


def _link(path: Path, name: str) -> SpikeError:
    return SpikeError(f"{path} holds the link {name}; wanted files alone; unpack it yourself and give the folder")


def _is_clutter(name: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts if part != ".")
