"""Files that are never half-written, and folders that have one writer at a time."""

from __future__ import annotations

import csv
import errno
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikecli.errors import SpikeError

_CURES = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EFBIG: "the file would pass the size limit of this account or file system; raise the limit",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "permission is denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose a folder that you may write to",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "there is a folder of that name; choose another path",
    errno.EIO: "the disk reported an input/output error; check it, then run the command again",
    errno.ESTALE: "the mount has gone; mount it again, then run the command again",
    errno.ENOENT: "a folder on the way has vanished; check the mount, then run the command again",
}


def unwritable(path: Path, error: OSError) -> SpikeError:
    """Return the one-line error for a failed write to `path`, with its cure."""
    cure = _CURES.get(error.errno or 0, error.strerror or str(error))
    return SpikeError(f"cannot write {path}: {cure}")


def make_folder(path: Path) -> Path:
    """Return `path` after creating it and its parents; SpikeError when that is not allowed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` when the block ends well and vanishes when it does not.

    The content reaches the disk before the name does, so a reader sees the old file or the new one, never a part.
    """
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix or ".tmp", dir=path.parent)
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
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write records to `path` atomically as CSV, a column for each name; what is no text or number is left out."""
    plain = [{name: value for name, value in row.items() if isinstance(value, str | int | float)} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in plain for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain)
    write_text(path, text.getvalue())


@contextmanager
def atomic_hdf5(path: Path) -> Iterator[Any]:
    """Yield an h5py.File open for writing that becomes `path` when the block ends well; SpikeError on a full disk."""
    import h5py

    with atomic_path(path) as temporary:
        try:
            with h5py.File(temporary, "w", libver="latest") as file:
                yield file
        except RuntimeError as error:  # HDF5 cannot close a file that it could not write, and hides the reason
            reason = str(error).splitlines()[0]
            raise SpikeError(f"cannot write {path}: {reason}; the disk may be full, free some space") from error


@contextmanager
def sole_writer(folder: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold `folder` for one writing process; SpikeError naming the holder's process id when another has it.

    The operating system drops the lock with its holder, so a killed process leaves no stale lock behind.
    """
    from filelock import FileLock, Timeout

    make_folder(folder)
    path = folder / ".lock"
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text(encoding="utf-8").strip() or "unknown"
        raise SpikeError(
            f"{what} in {folder} is already under way in process {holder}; wait for it to end, or stop it"
        ) from None
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        path.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        lock.release()


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
