"""`spikecli doctor`: check what works here, with a cure for each failure."""

from __future__ import annotations

from typing import Annotated

import typer

from spikecli.cli.options.common import DATA_DIR, AsJson, ConfigFile, DataDir, Quiet
from spikecli.console import Console
from spikecli.errors import SpikeError

_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a check has failed.")] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="Load open_clip, too; some seconds more.")] = False,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: ConfigFile = None,
) -> None:
    """Check Python, torch, devices, the precision that auto takes, Open3D, open_clip, tonic, HDF5, data sets and disk.

    A cure stands by each failure.

    Example: spikecli doctor --strict
    """
    from dataclasses import asdict

    from spikecli.doctor import PROBES, THOROUGH, examine

    console = Console(as_json=as_json, quiet=quiet)
    probes = {**PROBES, **(THOROUGH if thorough else {})}
    with console.progress("checking", total=len(probes), unit="checks") as advance:
        findings = examine(data_dir, advance, probes)
    console.document([asdict(finding) for finding in findings])
    rows = [(finding.check, _MARKS[finding.status], finding.detail) for finding in findings]
    console.table("", ("check", "", "found"), rows)
    for finding in findings:
        if finding.cure:
            console.say(f"for {finding.check}: {finding.cure}")
    failed = [finding.check for finding in findings if finding.status == "failed"]
    if failed and strict:
        raise SpikeError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}; the cures are above")
