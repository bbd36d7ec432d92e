"""Checks for tests of the doctor. They travel to a process by name: this file imports nothing that is slow."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from pathlib import Path


def crash(data_dir: Path) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return "never"


def leave(data_dir: Path) -> str:
    os._exit(7)


def hang(data_dir: Path) -> str:
    time.sleep(60)
    return "never"


def raise_error(data_dir: Path) -> str:
    raise ImportError("libGL.so.1: cannot open shared object file\nand a second line")


def chatter(data_dir: Path) -> str:
    os.write(1, b"a library talks\n")
    sys.stderr.write("and warns\n")
    return f"looked at {data_dir.name}"


def remark(data_dir: Path) -> tuple[str, str]:
    return "note", "could be better"


def process(data_dir: Path) -> str:
    return str(os.getpid())


def own_cure(data_dir: Path) -> tuple[str, str, str]:
    return "note", "torch lacks CUDA", "install the other build"


def slow_end(data_dir: Path) -> str:
    atexit.register((data_dir / "cleared").touch)
    return "answered"
