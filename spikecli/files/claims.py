"""Claims on work in a folder that several machines share: one holder at a time, and a dead one's claim is taken over.

A claim is a small file. It is made in one step, which network file systems keep, and its holder touches it while it
works. Locks of the operating system serve one machine, and not every network file system.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spikecli.files.atomic import make_folder, unwritable

BEAT = 20.0  # seconds between two touches of a claim
STALE = 300.0  # seconds without a touch after which its holder counts as dead


@contextmanager
def claimed(path: Path, beat: float = BEAT, stale: float = STALE) -> Iterator[bool]:
    """Yield whether this process holds the claim `path`, which it gives back when the block ends.

    Raise SpikeError if the folder cannot be written.
    """
    token = uuid.uuid4().hex
    if not _take(path, token) and not (_drop_stale(path, stale) and _take(path, token)):
        yield False
        return
    ended = threading.Event()
    touching = threading.Thread(target=_touch, args=(path, token, beat, ended), daemon=True)
    touching.start()
    try:
        yield True
    finally:
        ended.set()
        touching.join()
        if _holder(path).get("token") == token:
            path.unlink(missing_ok=True)


def holder_of(path: Path) -> str:
    """Return the machine and process that hold a claim, as "node7, process 123"; empty if none does."""
    found = _holder(path)
    return f"{found.get('host', 'unknown')}, process {found.get('pid', 'unknown')}" if found else ""


def _take(path: Path, token: str) -> bool:
    """Make the claim; return False if another process was first."""
    make_folder(path.parent)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise unwritable(path, error) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"token": token, "host": socket.gethostname(), "pid": os.getpid(), "space": _space()}, file)
    return True


def _touch(path: Path, token: str, beat: float, ended: threading.Event) -> None:
    while not ended.wait(beat):
        if _holder(path).get("token") != token:  # taken over, as after a long sleep of this machine
            return
        with suppress(OSError):
            os.utime(path)


def _drop_stale(path: Path, stale: float) -> bool:
    """Remove the claim of a dead holder; return whether the way is free."""
    found = _holder(path)
    if not found and not path.exists():
        return True
    if not _is_dead(path, found, stale):
        return False
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)  # of several processes, one is first
    except OSError:
        return False
    if _holder(aside).get("token") != found.get("token"):  # a living one's, made since it was read: give it back
        with suppress(OSError):
            os.link(aside, path)
        aside.unlink(missing_ok=True)
        return False
    aside.unlink(missing_ok=True)
    return True


def _is_dead(path: Path, found: dict[str, Any], stale: float) -> bool:
    """Return whether the holder's process is gone from this machine, or has not touched its claim for too long."""
    if (found.get("host"), found.get("space")) == (socket.gethostname(), _space()) and found.get("space"):
        return not _is_alive(found.get("pid"))
    try:
        return _now_at(path.parent) - path.stat().st_mtime > stale
    except OSError:
        return False


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now_at(folder: Path) -> float:
    """Return the time in seconds by the clock of the disk, which need not be this machine's."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _space() -> str:
    """Return the space in which process numbers of this machine are unique; empty where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _holder(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
