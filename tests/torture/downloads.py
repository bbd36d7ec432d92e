"""Downloads from a server that lies, and downloads that are killed: the right file or one line, never a half-file.

Run as a module it is the child that is killed: it fetches one file.
"""

from __future__ import annotations

import hashlib
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
from flaky_server import CONTENT, MOODS, Server, Site, serving

from spikecli.errors import SpikeError
from spikecli.files.download import Fetching, fetch
from spikecli.files.remote import Remote
from torture import commands
from torture.report import Tally

CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
QUICK = Fetching(attempts=3, pause=0.001, patience=0.3)
LONGEST = 60.0  # seconds of one download: three attempts at each of two mirrors, each broken off by a stall at most


def run(seed: int, lies: int, kills: int, folder: Path) -> list[Tally]:
    """Return the tallies of downloads from a lying server, and of downloads killed in between."""
    with serving() as server:
        return [_lies(seed, lies, folder / "lies", server), _kills(seed, kills, folder / "kills", server)]


def _lies(seed: int, count: int, folder: Path, server: Server) -> Tally:
    tally, begun = Tally("downloads: lies"), time.monotonic()
    sites, base = server
    names = ["", "break", *MOODS]
    for number in range(count):
        rng = np.random.default_rng([seed, 4, number])
        moods = [names[int(rng.integers(len(names)))] for _ in range(int(rng.integers(1, 6)))]
        breaks = [int(rng.integers(1, len(CONTENT))) for mood in moods if mood == "break"]
        sites["/a"] = Site(moods=list(moods), breaks=breaks, ranges=bool(rng.random() < 0.7), stall=0.6)
        sites["/b"] = Site(moods=moods[::-1], etag="")
        mirrors = (f"{base}/a", f"{base}/b")[: int(rng.integers(1, 3))]
        what, place = f"--seed {seed} lie {number} {moods}", folder / str(number)
        answer: list[str] = []
        asking = threading.Thread(target=lambda: answer.append(_fetched(mirrors, place)), daemon=True)  # noqa: B023
        asking.start()
        asking.join(LONGEST)
        kind, _, line = (answer or ["hang: no end"])[0].partition(": ")
        if kind in ("right", "refused"):
            tally.good(kind == "refused")
        else:
            tally.fault(kind, f"{what}: {line}")
    tally.seconds = time.monotonic() - begun
    return tally


def _fetched(urls: tuple[str, ...], place: Path) -> str:
    """Return how a download ended, and what is wrong with what lies there now."""
    try:
        path = fetch(Remote("set.zip", urls, CHECKSUM), place, QUICK)
        end = "right: " if path.read_bytes() == CONTENT else "wrong: another content"
    except SpikeError as problem:
        end = "refused: " if "\n" not in str(problem) else f"traceback: more than one line: {problem}"
        if (place / "set.zip").exists():
            end = "wrong: a file in place of which the program says that it could not be had"
    except BaseException as error:  # noqa: BLE001 (whatever is not a SpikeError is what we look for)
        end = f"traceback: {type(error).__name__}: {error}"
    left = {path.name for path in place.iterdir()} - {"set.zip", "set.zip.part", "set.zip.part.json", ".lock"}
    return f"wrong: left {sorted(left)}" if left else end


def _kills(seed: int, count: int, folder: Path, server: Server) -> Tally:
    """Kill downloads when some of the file is there: the next one asks for the rest of it, and for no more."""
    tally, begun, rng = Tally("downloads: kills"), time.monotonic(), np.random.default_rng([seed, 5])
    sites, base = server
    part = folder / "set.zip.part"
    folder.mkdir(parents=True)
    sites["/k"] = site = Site(slice_pause=0.02)
    for number in range(count):
        wanted = _size(part) + int(rng.integers(1, 40_000))
        by = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
        have, asked = _size(part), len(site.asked)
        command = [sys.executable, "-m", "torture.downloads", f"{base}/k", str(folder)]
        ended = commands.run(command, lambda pid, wanted=wanted: _size(part) >= wanted, by)  # type: ignore[misc]
        fault = ended.complaint
        if not fault and have and site.asked[asked : asked + 1] != [f"bytes={have}-"]:
            fault = f"wrong: had {have} bytes and asked for {site.asked[asked : asked + 1]}"
        if not fault and ended.code == 0:
            right = (folder / "set.zip").read_bytes() == CONTENT
            (folder / "set.zip").unlink()
            fault = "" if right else "wrong: another content in place"
        if fault:
            kind, _, line = fault.partition(": ")
            tally.fault(kind, f"--seed {seed} kill {number} by {by.name}: {line}")
        else:
            tally.good(ended.code != 0)
    ended = commands.run([sys.executable, "-m", "torture.downloads", f"{base}/k", str(folder)])
    if ended.code or (folder / "set.zip").read_bytes() != CONTENT:
        tally.fault("wrong", f"--seed {seed}: after all kills exit {ended.code}")
    tally.seconds = time.monotonic() - begun
    return tally


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        fetch(Remote("set.zip", (sys.argv[1],), CHECKSUM), Path(sys.argv[2]), QUICK)
    except KeyboardInterrupt:
        sys.exit(130)
