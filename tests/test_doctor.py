"""The doctor's checks: each on its own, none of them able to end the program."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spikecli import doctor
from spikecli.doctor import PROBES, Finding, Probe, examine


# At module level: a probe travels to its process by name.
def _crash(data_dir: Path) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return "never"


def _leave(data_dir: Path) -> str:
    os._exit(7)


def _hang(data_dir: Path) -> str:
    time.sleep(60)
    return "never"


def _raise(data_dir: Path) -> str:
    raise ImportError("libGL.so.1: cannot open shared object file\nand a second line")


def _chatter(data_dir: Path) -> str:
    os.write(1, b"a library talks\n")
    sys.stderr.write("and warns\n")
    return f"looked at {data_dir.name}"


def _remark(data_dir: Path) -> tuple[str, str]:
    return "note", "could be better"


def _examine(runs: dict[str, Callable[[Path], object]], tmp_path: Path, patience: float = 60) -> dict[str, Finding]:
    probes = {name: Probe(run, f"mend {name}") for name, run in runs.items()}  # type: ignore[arg-type]
    return {found.check: found for found in examine(tmp_path, lambda done: None, probes, patience)}


def test_a_crash_is_a_finding_with_its_cure_and_the_others_go_on(tmp_path: Path) -> None:
    found = _examine({"crash": _crash, "exit": _leave, "raise": _raise, "fine": _chatter, "so-so": _remark}, tmp_path)
    assert list(found) == ["crash", "exit", "raise", "fine", "so-so"]
    assert (found["crash"].status, found["crash"].detail) == ("failed", "crashed (SIGSEGV)")
    assert (found["exit"].status, found["exit"].detail) == ("failed", "ended with exit code 7")
    assert found["raise"].detail == "ImportError: libGL.so.1: cannot open shared object file"
    assert found["raise"].cure == "mend raise"
    assert (found["fine"].status, found["fine"].detail, found["fine"].cure) == ("ok", f"looked at {tmp_path.name}", "")
    assert (found["so-so"].status, found["so-so"].cure) == ("note", "mend so-so")


def test_a_check_that_hangs_is_ended(tmp_path: Path) -> None:
    started = time.perf_counter()
    found = _examine({"hang": _hang}, tmp_path, patience=0.5)
    assert found["hang"].detail == "no answer in 0.5 s"
    assert time.perf_counter() - started < 20


def test_what_a_check_prints_is_not_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _examine({"chatter": _chatter}, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_prepared_data_sets_are_named(tmp_path: Path) -> None:
    probe = PROBES["data sets"]
    assert probe.run(tmp_path) == ("note", f"none prepared in {tmp_path}")
    for name in ("shapes", "modelnet10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prepared.json").write_text("{}")
    (tmp_path / "half").mkdir()
    assert probe.run(tmp_path) == f"modelnet10, shapes in {tmp_path}"


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GB free" in PROBES["disk"].run(tmp_path / "not" / "yet" / "made")
    monkeypatch.setattr(doctor, "ROOM", 1e9)
    with pytest.raises(RuntimeError, match=r"GB free at .*, wanted"):
        PROBES["disk"].run(tmp_path)


def test_every_check_has_a_cure() -> None:
    assert all(len(probe.cure) > 10 for probe in PROBES.values())


def test_the_command_exits_0_unless_strict(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = {"fine": Probe(_chatter, "no need"), "broken": Probe(_raise, "apt-get install libgl1")}
    monkeypatch.setattr(doctor, "PROBES", probes)
    plain = cli("doctor", "--data-dir", tmp_path)
    assert plain.code == 0
    assert "FAILED" in plain.out and "for broken: apt-get install libgl1" in plain.out
    strict = cli("doctor", "--data-dir", tmp_path, "--strict", "--json")
    assert strict.code == 1
    assert [(found["check"], found["status"]) for found in strict.document] == [("fine", "ok"), ("broken", "failed")]
    assert set(strict.document[1]) == {"check", "status", "detail", "cure", "seconds"}
    assert "1 of 2 checks failed: broken" in strict.err
    assert cli("doctor", "--data-dir", tmp_path, "--json", "--quiet").code == 0


def test_this_machine_passes_its_light_checks(tmp_path: Path) -> None:
    chosen = {name: PROBES[name] for name in ("Python", "h5py", "disk")}
    for found in examine(tmp_path, lambda done: None, chosen):
        assert found.status == "ok", found
