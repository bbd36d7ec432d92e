"""Files that are never half-written, and folders that have one writer at a time."""

from __future__ import annotations

import csv
import errno
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError

UNFINISHED = ".unfinished-"  # begins the name of whatever is still being written
LOCK = ".lock"
_held: set[Path] = set()  # the folders of which this process is the sole writer

_CURES = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EFBIG: "the file would pass the size limit of this account or file system; raise the limit",
    errno.EACCES: "permission is denied; choose a folder that you may read and write",
    errno.EPERM: "permission is denied; choose a folder that you may read and write",
    errno.EROFS: "the file system is read-only; choose a folder that you may write to",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "there is a folder of that name; choose another path",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
    errno.EIO: "the disk reported an input/output error; check it, then run the command again",
    errno.ESTALE: "the mount has gone; mount it again, then run the command again",
    errno.ENOENT: "a folder on the way has vanished; check the mount, then run the command again",
}


def unwritable(path: Path, error: OSError | NotImplementedError) -> SpikeError:
    """Return the one-line error for a failed write to `path`, with a cure."""
    number, reason = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
    cure = _CURES.get(number or 0, reason or str(error))
    return SpikeError(f"cannot write {path}: {cure}")


def in_words(error: OSError) -> str | None:
    """Return one line for a file error of the operating system; None for other errors, which are bugs."""
    if error.errno not in _CURES or error.filename is None:
        return None
    return f"cannot use {os.fsdecode(error.filename)}: {_CURES[error.errno]}"


def make_folder(path: Path) -> Path:
    """Create `path` and its parents and return it; raise SpikeError if that fails or a held folder has vanished."""
    _still_there(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def demand_place(path: Path) -> None:
    """Raise SpikeError if no file can be written at `path`, before the work that it is for; nothing is created."""
    above = next(folder for folder in path.absolute().parents if folder.exists() or folder.is_symlink())
    number = errno.EISDIR if path.is_dir() else errno.ENOTDIR if not above.is_dir() else 0
    if number or not os.access(above, os.W_OK | os.X_OK):
        raise unwritable(path, OSError(number or errno.EACCES, "permission is denied"))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` when the block ends well and vanishes when it does not.

    The content reaches the disk before the name does, so a reader sees the old file or the new one, never a part.
    The next `sole_writer` of the folder removes the leftovers of a killed process.
    """
    _still_there(path)
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f"{UNFINISHED}{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _remove(temporary)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`; it is removed with its contents when the block ends, also on an error."""
    make_folder(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
    except OSError as error:
        raise unwritable(parent, error) from error
    try:
        yield folder
    finally:
        _remove(folder)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write records to `path` atomically as CSV, one column a name; values other than text and numbers are left out."""
    plain = [{name: value for name, value in row.items() if isinstance(value, str | int | float)} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in plain for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain)
    write_text(path, text.getvalue())


@contextmanager
def sole_writer(folder: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Lock `folder` for one writing process; raise SpikeError, with the process id, if another process holds it.

    The operating system drops the lock with its holder, so a killed process leaves no stale lock behind, only its
    number in the file. What it left half-written in the folder is removed.
    """
    from filelock import FileLock, Timeout

    make_folder(folder)
    path = folder / LOCK
    try:
        lock = FileLock(path, timeout=-1 if wait else 0)
        lock.acquire()
    except Timeout:
        raise SpikeError(
            f"{what} in {folder} is already under way in process {_holder(path)}; wait for it to end, or stop it"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise unwritable(path, error) from error
    _held.add(folder.absolute())
    try:
        try:
            path.write_text(str(os.getpid()), encoding="utf-8")
            _sweep(folder)
        except OSError as error:
            raise unwritable(path, error) from error
        yield
    finally:
        _held.discard(folder.absolute())
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a process is the sole writer of `folder` now."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # another's folder, or a disk without locks
        return False


def _holder(path: Path) -> str:
    """Return the process id in a lock file, waiting up to a second for it; "unknown" if none is written."""
    for _ in range(20):
        try:
            found = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            break
        if found.isdecimal():
            return found
        time.sleep(0.05)
    return "unknown"


def _sweep(folder: Path) -> None:
    """Remove leftovers of killed writers in a folder that the caller has locked, and in its subfolders."""
    for pattern in (f"{UNFINISHED}*", f"*/{UNFINISHED}*"):
        for path in sorted(folder.glob(pattern)):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):  # the folder may have vanished, or become read-only, with what is in it
        path.unlink(missing_ok=True)


def _still_there(path: Path) -> None:
    """Raise SpikeError if `path` lies in a locked folder that is no longer the same one: its mount has gone.

    Otherwise the folder would be created again below the mount point, and a run would be split over two places.
    """
    for folder in _held:
        if path.absolute().is_relative_to(folder) and not (folder / LOCK).exists():
            raise unwritable(path, OSError(errno.ENOENT, "vanished"))


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
