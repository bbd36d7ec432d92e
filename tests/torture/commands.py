"""The program as a user starts it, watched from outside: how it ended, what it said, whom it left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
LONGEST = 600.0  # seconds on the clock; what takes longer hangs
PYTHON = (sys.executable, "-m", "spikecli")
Limits = Sequence[tuple[int, tuple[int, int]]]  # as resource.setrlimit takes them


class Process(subprocess.Popen[bytes]):
    """A process with limits of its own. The tests of short parts put forks in its place, which start at once."""

    def __init__(self, command: Sequence[str], limits: Limits = (), **how: Any) -> None:
        def limit() -> None:
            for one in limits:
                resource.setrlimit(*one)

        super().__init__(command, preexec_fn=limit if limits else None, **how)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: by a signal), what it said on stderr, and whom it left behind."""

    code: int
    words: str
    orphans: int = 0
    hung: bool = False

    @property
    def complaint(self) -> str:
        """The kind of fault that every end must be free of, with a line on it, or nothing."""
        if self.hung:
            return "hang: no end"
        if "Traceback" in self.words:
            places = re.findall(r'File "(?:.*/)?(.+)", line (\d+), in (.+)', self.words)
            where = "; ".join(f"{file}:{line} {name}" for file, line, name in places[-3:])
            return f"traceback: {self.words.strip().splitlines()[-1][:200]} [{where}]"
        return f"wrong: left {self.orphans} processes behind" if self.orphans else ""

    @property
    def is_one_line(self) -> bool:
        """Whether it ended with exit code 1 and one line of error."""
        lines = [line for line in self.words.splitlines() if line.startswith("error: ")]
        return self.code == 1 and len(lines) == 1 and self.words.strip().splitlines()[-1] == lines[0]


def run(
    command: Sequence[str],
    until: Callable[[int], bool] = lambda process: False,
    number: int = signal.SIGKILL,
    prefix: Sequence[str] = (),
    limits: Limits = (),
) -> Ended:
    """Return how a command ended; the signal `number` was sent when `until`, asked often, said yes of its id."""
    # Words come through a pipe: a limit on files is none on them.
    process = Process(
        [*prefix, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        env=environment(), limits=limits,
    )  # fmt: skip
    words: list[bytes] = []
    listening = threading.Thread(target=lambda: words.append(process.stderr.read()), daemon=True)  # type: ignore[union-attr]
    listening.start()
    deadline, sent = time.monotonic() + LONGEST, False
    while process.poll() is None and time.monotonic() < deadline:
        if not sent and until(process.pid):
            os.kill(process.pid, number)
            sent = True
        time.sleep(0.005)
    hung = process.poll() is None
    orphans = 0 if hung else _left(process.pid)
    if hung or orphans:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    listening.join(10)
    assert process.stderr is not None
    process.stderr.close()
    return Ended(process.returncode, b"".join(words).decode(errors="replace"), orphans, hung)


def environment() -> dict[str, str]:
    """Return the environment of a child: one thread, so that its work is the same wherever it runs, and these files."""
    places = [str(place) for place in (*Path(__file__).parents[1:3], os.environ.get("PYTHONPATH", "")) if str(place)]
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(places)}


def _left(group: int) -> int:
    """Return how many processes of a group are alive a while after its leader has ended."""
    for _ in range(200):
        alive = [pid for pid in _processes() if _status(pid)[2:3] == [str(group)] and _status(pid)[0] != "Z"]
        if not alive:
            return 0
        time.sleep(0.05)
    return len(alive)


def processor_time(process: int) -> float:
    """Return the seconds of processor time that a process and its children have taken: no clock of a busy machine."""
    found = [fields for pid in (process, *_children(process)) if (fields := _status(pid))]
    return sum(int(fields[index]) for fields in found for index in (11, 12)) / TICKS


def _children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _status(process: int) -> list[str]:
    """Return the fields of /proc/N/stat after the name: state, parent, group, …; nothing when it is gone."""
    try:
        return re.sub(r"^.*\) ", "", Path(f"/proc/{process}/stat").read_text()).split()
    except OSError:
        return []
