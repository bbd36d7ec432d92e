"""Python's garbage collector while the program loads and ends: no look through what stays."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from spikecli.machine import collector
from spikecli.machine.device import choose_device


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int, int]]:
    """The collector as it is, with nothing frozen; after the test it is as the tests begin with it.

    Another test may have run the program's `main`, which ends before torch is there.
    """
    monkeypatch.setattr(collector, "_USUAL", [])
    before = gc.get_threshold()
    gc.unfreeze()
    yield before
    gc.freeze()
    gc.set_threshold(*before)


def test_it_looks_rarely_until_torch_is_there(usual: tuple[int, int, int]) -> None:
    collector.look_rarely()
    collector.look_rarely()
    assert gc.get_threshold()[0] == 20_000 and gc.get_freeze_count() == 0
    choose_device("cpu")
    assert gc.get_threshold() == usual and gc.get_freeze_count() > 10_000
    assert gc.isenabled()


def test_the_library_leaves_it_alone(usual: tuple[int, int, int]) -> None:
    choose_device("cpu")
    assert gc.get_threshold() == usual and gc.get_freeze_count() == 0


def test_the_program_begins_and_ends_with_it() -> None:
    code = """if True:
        import atexit, gc, sys, spikecli.__main__ as program, spikecli.cli
        atexit.register(lambda: print("frozen", gc.get_freeze_count() > 10_000))
        spikecli.cli.entry = lambda: sys.exit(print(gc.get_threshold()[0], gc.get_freeze_count()))
        program.main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["20000", "0", "frozen", "True"]
