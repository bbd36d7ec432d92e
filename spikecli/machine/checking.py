"""Checks in processes apart from this one, so that a crash is a finding and not an end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from signal import Signals
from time import perf_counter
from typing import Literal

from spikecli.machine.collector import look_rarely

Status = Literal["ok", "note", "failed"]
Answer = str | tuple[Status, str] | tuple[Status, str, str]  # a detail; with its status; with a cure of its own


@dataclass(frozen=True)
class Finding:
    """The finding of one check, with a cure if it failed or could be better."""

    check: str
    status: Status
    detail: str
    cure: str
    seconds: float


@dataclass(frozen=True)
class Probe:
    """One check: `run` takes the data folder and returns an answer; raising is failing.

    Probes of one `group` run one after the other in one process, which loads their libraries once.
    """

    run: Callable[[Path], Answer]
    cure: str
    group: str = ""


def examine(
    data_dir: Path, on_step: Callable[[int], None], probes: Mapping[str, Probe], patience: float
) -> list[Finding]:
    """Return a finding for each probe, in their order; none of them can end or block this process."""
    groups: dict[str, list[str]] = {}
    for name, probe in probes.items():
        groups.setdefault(probe.group or name, []).append(name)

    def together(names: list[str]) -> list[Finding]:
        found: list[Finding] = []
        while len(found) < len(names):  # another process goes on behind a check that has ended its own
            for finding in _apart(names[len(found) :], probes, data_dir, patience):
                found.append(finding)
                on_step(1)
        return found

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        findings = {finding.check: finding for found in pool.map(together, groups.values()) for finding in found}
    return [findings[name] for name in probes]


def _apart(names: Sequence[str], probes: Mapping[str, Probe], data_dir: Path, patience: float) -> Iterator[Finding]:
    """Yield the findings of these probes from one process, up to the first that ends it or does not answer."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, [probes[name] for name in names], data_dir), daemon=True)
    begun = perf_counter()
    process.start()
    sender.close()
    try:
        for name in names:
            status, detail, cure, ended = _answer(process, receiver, patience)
            shown = "" if status == "ok" else cure or probes[name].cure
            yield Finding(name, status, detail, shown, round(perf_counter() - begun, 2))
            begun = perf_counter()
            if ended:
                break
    finally:
        receiver.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


def _answer(process: SpawnProcess, receiver: Connection, patience: float) -> tuple[Status, str, str, bool]:
    """Return status, detail, cure and False, or how the process has ended, by itself or for its silence, and True."""
    try:
        # The end of the pipe is readable when the child has answered, and also when it has died.
        if not receiver.poll(patience):
            process.kill()
            return "failed", f"no answer in {patience:g} s", "", True
        status, detail, cure = receiver.recv()
    except EOFError:
        process.join()
        return "failed", _ending(process.exitcode or 0), "", True
    return status, detail, cure, False


def _child(sender: Connection, probes: Sequence[Probe], data_dir: Path) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # native libraries write to the descriptors, whatever sys.stdout is
        os.dup2(quiet, stream)
    warnings.simplefilter("ignore")
    look_rarely()  # most of a check is loading a library
    for probe in probes:
        try:
            answer = probe.run(data_dir)
        except Exception as error:  # noqa: BLE001 (whatever a library raises is the finding)
            first = (str(error).strip().splitlines() or [""])[0]
            sender.send(("failed", f"{type(error).__name__}: {first}", ""))
        else:
            whole = ("ok", answer) if isinstance(answer, str) else answer
            sender.send((*whole, "") if len(whole) == 2 else whole)
    sender.close()
    os._exit(0)  # all answers are sent; torch would take half a second to clear its memory


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    known = {signal.value: signal.name for signal in Signals}
    return f"crashed ({known.get(-code, f'signal {-code}')})"
