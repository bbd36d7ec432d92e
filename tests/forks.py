"""Start a command of this Python without the seconds that `import torch` takes: a fork of a process that has it.

`Fork` and `run` take what subprocess.Popen and subprocess.run take, as far as tests use it. What a test is about when
it needs a process (its end, its signals, its locks, its words) is the same in a fork. A test of what a fresh
interpreter imports, of the entry point, of torchrun, or of streams that are closed or of another encoding takes
subprocess.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from spikecli.machine.environment import prepare_process

SERVER = Path(__file__).with_name("fork_server.py")
Limits = Sequence[tuple[int, tuple[int, int]]]  # of the module resource


@cache
def _server() -> socket.socket:
    """Return the line to the process that forks: it has imported torch, and nothing of spikecli."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    prepare_process(environment)
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(theirs.fileno())], pass_fds=[theirs.fileno()],
        env={**environment, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    theirs.close()
    atexit.register(_end, ours, process)
    return ours


@cache
def _warm_server() -> socket.socket:
    """Return the line to a fork of it that has imported every module of spikecli, without plug-ins."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = {"kind": "serve", "places": _places(os.environ)}
    with theirs:
        socket.send_fds(_server(), [json.dumps(order).encode()], [theirs.fileno()])
    atexit.register(ours.close)
    return ours


def _end(line: socket.socket, process: subprocess.Popen[bytes]) -> None:
    line.close()
    process.wait()


def _places(environment: Mapping[str, str]) -> list[str]:
    return [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]


class Fork:
    """A process like one of subprocess.Popen. `fresh`: nothing of spikecli is imported yet, as plug-ins want it."""

    def __init__(
        self,
        command: Sequence[str],
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        text: bool = False,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        limits: Limits = (),
        fresh: bool = False,
    ) -> None:
        assert command[0] == sys.executable, command
        kind, program, *words = command[1:] if command[1] in ("-m", "-c") else ["", *command[1:]]
        order = {
            "kind": kind, "program": str(program), "words": list(words), "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env), "session": start_new_session, "limits": list(limits),
        }  # fmt: skip
        self.args, self.text, self.returncode = command, text, None
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stdout, out = _stream(stdout, 1)
        self.stderr, err = (None, out) if stderr == subprocess.STDOUT else _stream(stderr, 2)
        nothing = os.open(os.devnull, os.O_RDONLY)
        given = (nothing, out, err, theirs.fileno())
        socket.send_fds(_server() if fresh else _warm_server(), [json.dumps(order).encode()], given)
        for descriptor in {nothing, out, err} - {1, 2} - {s.fileno() for s in (stdout, stderr) if hasattr(s, "fileno")}:
            os.close(descriptor)
        theirs.close()
        said = self._line.recv(1 << 12)
        assert said, "the process that forks has ended; what it said last is on stderr"
        self.pid: int = json.loads(said)["pid"]

    def poll(self) -> int | None:
        """Return the exit code (negative: by a signal), or None while it runs."""
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.returncode: int | None = json.loads(self._line.recv(1 << 12))["code"]
            self._line.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; raise TimeoutExpired if that takes longer."""
        if self.returncode is None:
            select.select([self._line], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Return what it wrote to the pipes among stdout and stderr, once it has ended."""
        said: dict[int, bytes] = {}
        pipes = {number: pipe for number, pipe in ((0, self.stdout), (1, self.stderr)) if pipe is not None}
        readers = [
            threading.Thread(target=lambda n=number, p=pipe: said.update({n: p.read()}), daemon=True)
            for number, pipe in pipes.items()
        ]
        begun = time.monotonic()
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:  # its own children may hold the pipes a while longer
            reader.join(None if timeout is None else max(0.0, timeout - (time.monotonic() - begun)))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        for pipe in pipes.values():
            pipe.close()
        words = [said.get(number) for number in (0, 1)]
        return tuple(each.decode() if self.text and each is not None else each for each in words)  # type: ignore[return-value]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()


def _stream(wanted: int | IO[Any] | None, number: int) -> tuple[IO[bytes] | None, int]:
    """Return our end of a stream, if it is a pipe, and the descriptor of the child's end."""
    if wanted == subprocess.PIPE:
        reading, writing = os.pipe()
        return os.fdopen(reading, "rb"), writing
    if wanted == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    if wanted is None:
        return None, number
    return None, wanted if isinstance(wanted, int) else wanted.fileno()


def run(
    command: Sequence[str],
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **how: Any,
) -> subprocess.CompletedProcess[Any]:
    """Return how a command ended and what it said; raise CalledProcessError if `check` and it failed."""
    if capture_output:
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Fork(command, **how) as process:
        try:
            out, err = process.communicate(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    ended = subprocess.CompletedProcess(list(command), process.returncode or 0, out, err)
    if check:
        ended.check_returncode()
    return ended
