"""Forks stand for processes: they end, speak, die and are limited as a command of subprocess is."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import forks
import pytest

SAYS = """
import json, os, sys, threading
print(json.dumps([sys.argv, os.getcwd(), os.environ.get("SAID"), sys.path[0], __name__, threading.active_count()]))
print("torch" in sys.modules, "spikecli" in sys.modules, file=sys.stderr)
"""
ENDS = [
    "import sys; sys.exit(7)",
    "import sys; sys.exit('no')",
    "raise ValueError(1)",
    "import os; os._exit(3)",
    "pass",
]
ENDS += ["raise KeyboardInterrupt", "import os; os.kill(os.getpid(), 9)"]
ENDS += ["import atexit; atexit.register(print, 'last'); print('first', end=' ')"]


@pytest.mark.parametrize("code", ENDS)
def test_it_ends_as_the_interpreter_ends(code: str) -> None:
    line = [sys.executable, "-c", code]
    fork, real = (start(line, capture_output=True, text=True) for start in (forks.run, subprocess.run))
    assert (fork.returncode, fork.stdout) == (real.returncode, real.stdout)
    assert fork.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]


def test_it_has_its_own_words_folder_environment_and_modules(tmp_path: Path) -> None:
    line = [sys.executable, "-c", SAYS, "a", "b c"]
    env = {**os.environ, "SAID": "yes"}
    fork, real = (
        start(line, capture_output=True, text=True, cwd=tmp_path, env=env) for start in (forks.run, subprocess.run)
    )
    assert json.loads(fork.stdout) == json.loads(real.stdout)
    assert fork.stderr == "True True\n" and real.stderr == "False False\n"
    assert forks.run(line, capture_output=True, text=True, fresh=True).stderr == "True False\n"


def test_the_program_says_what_it_says(tmp_path: Path) -> None:
    for words in (
        ["papers", "--json"],
        ["papers", "--nonsense"],
        ["data", "verify", "shapes", "--data-dir", str(tmp_path)],
    ):
        line = [sys.executable, "-m", "spikecli", *words]
        fork, real = (start(line, capture_output=True, text=True) for start in (forks.run, subprocess.run))
        assert (fork.returncode, fork.stdout, fork.stderr) == (real.returncode, real.stdout, real.stderr)


def test_signals_reach_it_and_its_number_is_its_own_until_it_is_heard() -> None:
    sleeping = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, -2)):
        with forks.Fork(sleeping, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
            assert process.poll() is None and os.getpgid(process.pid) == process.pid
            os.kill(process.pid, number)
            os.kill(process.pid, 0)
            assert process.wait(30) == code
    with forks.Fork(sleeping, stdout=subprocess.DEVNULL) as process, pytest.raises(subprocess.TimeoutExpired):
        try:
            process.wait(0.01)
        finally:
            process.kill()


def test_a_limit_is_its_own(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'wb', 0).write(bytes(100)); open(sys.argv[1], 'ab', 0).write(b'1')"
    line = [sys.executable, "-c", code, str(tmp_path / "a")]
    ended = forks.run(line, capture_output=True, text=True, limits=[(resource.RLIMIT_FSIZE, (10, 10))])
    assert ended.returncode and "File too large" in ended.stderr
    assert forks.run(line).returncode == 0
