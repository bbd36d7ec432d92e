"""`spikecli doctor`: check what works here, with a cure for each failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spikecli.cli.options.common import DATA_DIR, AsJson, ConfigFile, DataDir, Quiet, TableOut
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console
from spikecli.errors import SpikeError

if TYPE_CHECKING:
    from spikecli.machine.doctor import Finding, Probe

# Checks of packages that an extra brings: without it they are no failure.
_OF_EXTRAS = {
    "Open3D": "open3d",
    "Open3D rendering": "open3d",
    "open_clip": "open_clip",
    "open_clip, loaded": "open_clip",
    "tonic": "tonic",
}
_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a check has failed.")] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="Load open_clip, too; some seconds more.")] = False,
    out: TableOut = None,
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

    from spikecli.files.tables import ResultTable
    from spikecli.machine import doctor as checks

    console = Console(as_json=as_json, quiet=quiet)
    probes = all_probes(thorough)
    with console.progress("checking", total=len(probes), unit="checks") as advance:
        findings = [_seen_as_extra(finding) for finding in checks.examine(data_dir, advance, probes)]
    records = [asdict(finding) for finding in findings]
    console.document(records)
    rows = [(finding.check, _MARKS[finding.status], finding.detail) for finding in findings]
    show_table(console, ResultTable("", ("check", "", "found"), rows, records=records), out)
    for finding in findings:
        if finding.cure:
            console.say(f"for {finding.check}: {finding.cure}")
    failed = [finding.check for finding in findings if finding.status == "failed"]
    if failed and strict:
        raise SpikeError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}; the cures are above")


def _seen_as_extra(finding: Finding) -> Finding:
    """Return the finding, or a note with the command if its package is one of an extra that is not installed."""
    from dataclasses import replace

    from spikecli.files.extras import command, installed

    package = _OF_EXTRAS.get(finding.check)
    if finding.status != "failed" or package is None or installed(package):
        return finding
    return replace(finding, status="note", detail=f"{package} is not installed", cure=command(package))


def all_probes(thorough: bool) -> dict[str, Probe]:
    """Return the checks of the machine and of the data sets, in the order in which they are shown."""
    from spikecli.datasets.health import prepared_sets
    from spikecli.machine.doctor import PROBES, THOROUGH, Probe

    probes = {**PROBES, "data sets": Probe(prepared_sets, "spikecli data prepare shapes", "others")}
    probes["disk"] = probes.pop("disk")
    return {**probes, **(THOROUGH if thorough else {})}
