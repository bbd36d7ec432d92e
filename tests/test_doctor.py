"""The doctor's checks: each on its own, none of them able to end the program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from probes import chatter, crash, hang, leave, own_cure, process, raise_error, remark, slow_end

from spikecli.cli import doctor as command
from spikecli.cli.doctor import all_probes
from spikecli.machine import doctor, environment, graphics, precision
from spikecli.machine.doctor import PROBES, Finding, Probe, examine
from spikecli.machine.precision import reason


def _examine(runs: dict[str, Callable[[Path], object]], tmp_path: Path, patience: float = 60) -> dict[str, Finding]:
    probes = {name: Probe(run, f"mend {name}") for name, run in runs.items()}  # type: ignore[arg-type]
    return {found.check: found for found in examine(tmp_path, lambda done: None, probes, patience)}


def test_a_crash_is_a_finding_with_its_cure_and_the_others_go_on(tmp_path: Path) -> None:
    found = _examine(
        {
            "crash": crash,
            "exit": leave,
            "raise": raise_error,
            "fine": chatter,
            "so-so": remark,
        },
        tmp_path,
    )
    assert list(found) == ["crash", "exit", "raise", "fine", "so-so"]
    assert (found["crash"].status, found["crash"].detail) == ("failed", "crashed (SIGSEGV)")
    assert (found["exit"].status, found["exit"].detail) == ("failed", "ended with exit code 7")
    assert found["raise"].detail == "ImportError: libGL.so.1: cannot open shared object file"
    assert found["raise"].cure == "mend raise"
    assert (found["fine"].status, found["fine"].detail, found["fine"].cure) == ("ok", f"looked at {tmp_path.name}", "")
    assert (found["so-so"].status, found["so-so"].cure) == ("note", "mend so-so")


def test_a_group_shares_a_process_and_goes_on_in_another_behind_a_crash(tmp_path: Path) -> None:
    runs: dict[str, Callable[[Path], object]] = {
        "a": process,
        "b": process,
        "crash": crash,
        "c": process,
    }
    probes = {name: Probe(run, "mend it", "group") for name, run in runs.items()}  # type: ignore[arg-type]
    steps: list[int] = []
    found = {one.check: one for one in examine(tmp_path, steps.append, probes, 60)}
    assert list(found) == ["a", "b", "crash", "c"] and steps == [1] * 4
    assert found["crash"].detail == "crashed (SIGSEGV)"
    assert found["a"].detail == found["b"].detail != found["c"].detail
    assert found["c"].status == "ok"


def test_a_process_ends_with_its_last_answer_and_clears_nothing(tmp_path: Path) -> None:
    found = _examine({"slow end": slow_end}, tmp_path)
    assert found["slow end"].status == "ok" and not (tmp_path / "cleared").exists()


def test_two_processes_share_the_checks_and_the_command_loads_no_library_itself(tmp_path: Path) -> None:
    """On two cores nothing waits for torch but what needs it; Open3D comes last of what needs no torch."""
    groups: dict[str, list[str]] = {}
    for name, probe in all_probes(False).items():
        groups.setdefault(probe.group, []).append(name)
    assert len(groups) == 2 and {"torch", "tonic"} <= set(groups["torch"])
    light = groups["others"]
    assert light.index("Open3D") > max(map(light.index, ("Python", "h5py", "open_clip")))
    code = """if True:
        import sys
        from spikecli.cli.doctor import all_probes
        all_probes(True)
        print([name for name in ("numpy", "h5py", "torch", "open3d", "multiprocessing.pool") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_check_may_bring_the_cure_of_what_it_found(tmp_path: Path) -> None:
    found = _examine({"devices": own_cure}, tmp_path)
    assert found["devices"].cure == "install the other build"


def test_a_card_that_torch_cannot_use_is_named_with_the_other_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = "NVIDIA H100 80GB HBM3, driver 570.1"
    monkeypatch.setattr(graphics, "nvidia_cards", lambda: (card,))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    status, detail, cure = PROBES["devices"].run(tmp_path)
    assert (status, detail) == ("note", f"cpu only, beside an unused {card}")
    assert "CUDA build" in cure
    monkeypatch.setattr("torch.version.cuda", "13.0")
    assert PROBES["devices"].run(tmp_path)[1].startswith("cpu only: torch is built for CUDA 13.0")


def test_what_nvidia_smi_answers_is_read() -> None:
    assert graphics.parsed("NVIDIA A100, SXM, 550.54\nTesla T4, 550.54\n") == [
        "NVIDIA A100, SXM, driver 550.54",
        "Tesla T4, driver 550.54",
    ]
    assert graphics.parsed("No devices were found\n") == []


def test_a_torchvision_of_another_torch_is_found_without_loading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"torch": "2.13.0+cpu", "torchvision": "0.28.0", "open_clip_torch": "3.2.0"}
    monkeypatch.setattr("importlib.metadata.version", versions.__getitem__)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy", "torch (==2.13.0)"])
    assert PROBES["open_clip"].run(tmp_path).startswith("3.2.0, torchvision 0.28.0 fits torch")
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy", "torch==2.12.1"])
    with pytest.raises(RuntimeError, match=r"wants torch 2\.12\.1, found 2\.13\.0"):
        PROBES["open_clip"].run(tmp_path)


def test_the_precision_that_auto_takes_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("spikecli.machine.precision._cpu_flags", lambda path: {"avx2"})
    assert reason(torch.device("cpu")) == "the processor has no instructions for bfloat16"
    monkeypatch.setattr("spikecli.machine.precision._cpu_flags", lambda path: {"avx2", "avx512_bf16"})
    assert reason(torch.device("cpu")) == "the processor has avx512_bf16"
    precision._cpu_gains.cache_clear()
    try:
        assert PROBES["precision"].run(tmp_path) == "auto takes bf16 on cpu: the processor has avx512_bf16"
    finally:
        precision._cpu_gains.cache_clear()  # else later tests train in bfloat16


def test_idle_threads_sleep_unless_the_user_says_otherwise() -> None:
    mine: dict[str, str] = {}
    environment.prepare_process(mine)
    assert mine["OMP_WAIT_POLICY"] == "passive" and "sleep" in environment.idle_threads(mine)
    for given in ({"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "5"}, {"KMP_BLOCKTIME": "1"}):
        before = dict(given)
        environment.prepare_process(given)
        assert {name: given[name] for name in environment.WAITING if name in given} == before
        assert next("=".join(pair) for pair in before.items()) in environment.idle_threads(given)
    assert environment.idle_threads({}) == "idle threads spin"


def test_the_program_sets_it_before_torch_is_loaded() -> None:
    code = """if True:
        import sys, spikecli.__main__ as program, os, spikecli.cli
        spikecli.cli.entry = lambda: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
        program.main()
    """
    given = {name: value for name, value in os.environ.items() if name not in environment.WAITING}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["passive", "False"]


def test_a_check_that_hangs_is_ended(tmp_path: Path) -> None:
    started = time.perf_counter()
    found = _examine({"hang": hang}, tmp_path, patience=0.5)
    assert found["hang"].detail == "no answer in 0.5 s"
    assert time.perf_counter() - started < 20


def test_what_a_check_prints_is_not_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _examine({"chatter": chatter}, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_prepared_data_sets_are_named(tmp_path: Path) -> None:
    probe = all_probes(False)["data sets"]
    assert probe.run(tmp_path) == ("note", f"none prepared in {tmp_path}")
    for name in ("shapes", "modelnet10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prepared.json").write_text("{}")
    (tmp_path / "half").mkdir()
    assert probe.run(tmp_path) == f"modelnet10, shapes in {tmp_path}"


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM", 0)
    assert "GB free" in PROBES["disk"].run(tmp_path / "not" / "yet" / "made")
    monkeypatch.setattr(doctor, "ROOM", 1e9)
    with pytest.raises(RuntimeError, match=r"GB free at .*, wanted"):
        PROBES["disk"].run(tmp_path)


def test_every_check_has_a_cure() -> None:
    assert all(len(probe.cure) > 10 for probe in all_probes(True).values())
    assert list(all_probes(True))[-3:] == ["data sets", "disk", "open_clip, loaded"]


def test_the_command_exits_0_unless_strict(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = {"fine": Probe(chatter, "no need"), "broken": Probe(raise_error, "apt-get install libgl1")}
    monkeypatch.setattr(command, "all_probes", lambda thorough: probes)
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
    chosen = {name: PROBES[name] for name in ("Python", "h5py")}
    for found in examine(tmp_path, lambda done: None, chosen):
        assert found.status == "ok", found
