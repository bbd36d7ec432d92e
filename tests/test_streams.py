"""Where the program prints: a full disk, a reader that has gone, a terminal without Unicode, a narrow one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import forks
import pytest

PAPERS = [sys.executable, "-m", "spikecli", "papers"]
FULL = Path("/dev/full")


def ends(command: list[str], **changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, env={**os.environ, **changes}, timeout=60, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("words", [["papers"], ["train", "--help"]])
def test_a_terminal_without_unicode_gets_text(encoding: str, words: list[str]) -> None:
    found = ends([*PAPERS[:-1], *words], PYTHONIOENCODING=encoding)
    assert found.returncode == 0 and b"Traceback" not in found.stderr
    assert len(found.stdout.decode(encoding)) > 500


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize("words", [["papers"], ["papers", "--json"], ["train", "--help"]])
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    with FULL.open("w") as full:
        found = forks.run([*PAPERS[:-1], *words], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert found.returncode == 1
    assert found.stderr.decode().splitlines() == [
        "error: cannot write the output: No space left on device; free some space, or print to another place"
    ]


@pytest.mark.parametrize("words", ["papers", "papers --json", "train --help"])
def test_a_reader_that_has_gone_is_told_nothing(words: str) -> None:
    python = sys.executable
    found = ends(["sh", "-c", f"'{python}' -m spikecli {words} | head -c 1 > /dev/null"])
    assert found.stderr == b""


def test_closed_streams_are_no_error_and_forty_columns_are_enough() -> None:
    found = ends(["sh", "-c", f"'{sys.executable}' -m spikecli papers >&-"])
    assert (found.returncode, found.stderr) == (0, b"")
    narrow = ends(PAPERS, COLUMNS="40")
    assert narrow.returncode == 0 and narrow.stderr == b""
    helped = ends([*PAPERS[:-1], "train", "--help"], COLUMNS="40")
    assert helped.returncode == 0 and max(map(len, helped.stdout.decode().splitlines())) <= 40
