"""`python -m torture`: all harnesses, a table of their counts, and exit code 1 when anything is not as promised."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torture import disks, downloads, fuzz, kills, report
from torture.report import Tally


def main() -> int:
    """Return 0 when everything ended as promised."""
    options = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--files", type=int, default=22_000, help="damaged files in all")
    options.add_argument("--kills", type=int, default=30, help="of training, of preparation and of downloads each")
    options.add_argument("--only", default="", help="some of kills,prepare,downloads,disks,files")
    options.add_argument("--groups", default="", help="formats of files: " + ", ".join(fuzz.GROUPS))
    options.add_argument("--json", type=Path, help="write the counts there as well")
    given = options.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        tallies = _all(given, Path(name))
    sys.stdout.write(f"seed {given.seed}, {time.monotonic() - begun:.0f} s\n\n{report.table(tallies)}\n")
    if given.json:
        given.json.write_text(report.document(tallies, given.seed) + "\n", encoding="utf-8")
    return 1 if any(tally.faults for tally in tallies) else 0


def _all(given: argparse.Namespace, folder: Path) -> list[Tally]:
    groups = given.groups.split(",") if given.groups else fuzz.GROUPS
    harnesses: dict[str, Callable[[Path], list[Tally]]] = {
        "kills": lambda place: [kills.train(given.seed, given.kills, place)],
        "prepare": lambda place: [kills.prepare(given.seed, given.kills, place)],
        "downloads": lambda place: downloads.run(given.seed, 10 * given.kills, given.kills, place),
        "disks": lambda place: [disks.run(given.seed, place)],
        "files": lambda place: fuzz.run(given.seed, given.files, groups, children=1 if given.only == "" else 2),
    }
    chosen = [name for name in harnesses if not given.only or name in given.only.split(",")]
    for name in chosen:
        (folder / name).mkdir()
    with ThreadPoolExecutor(2) as two:  # each works in processes of its own: one on each of two cores
        return [tally for some in two.map(lambda name: harnesses[name](folder / name), chosen) for tally in some]


if __name__ == "__main__":
    sys.exit(main())
