"""Run released repositories that you have beside ours: python scripts/against_released.py PATH… [--out TABLE.md]

PATH is a checkout of MPBN, Ternary Spike, Re-Loss (soft reset and rectifier), IM-Loss, Spiking PointNet, Joint A-SNN,
Real Spike or NeuroCLIP, told by its files. Its neurons and networks, with weights drawn here, get the same inputs as
ours in float64; the table has the largest difference of outputs and of gradients to the input. **Its code runs**, in a
process of its own: read it first. Nothing of it is copied, and nothing is written but a temporary state dict and the
table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import types
from dataclasses import asdict
from pathlib import Path

from released_clip import of_clip
from released_parts import KINDS as PARTS
from released_parts import Row
from released_spike import of_spike

KINDS = {**PARTS, "trainers/fewshot.py": of_clip, "sew_resnet.py": of_spike}
EQUAL = 1e-5  # files hold float32, and factors of Joint A-SNN are multiplied in it
COLUMNS = ("release", "part", "as", "outputs", "gradients", "")


def one(path: Path) -> list[Row]:
    """Return the rows of one checkout, whose code runs in this process."""
    kind = next((kind for file, kind in KINDS.items() if (path / file).is_file()), None)
    if kind is None:
        return [Row(path.name, "", "", note=f"not run: none of {', '.join(KINDS)} is in it")]
    sys.path.insert(0, str(path))
    shell = types.ModuleType("IPython")  # some releases import its debugger, and none calls it
    shell.embed = lambda: None  # type: ignore[attr-defined]
    sys.modules.setdefault("IPython", shell)
    rows = []
    with contextlib.redirect_stdout(sys.stderr):
        try:
            rows += kind(path.name)
        except Exception as problem:  # noqa: BLE001 (a release may need what is not installed: the table says so)
            rows.append(Row(path.name, "", "", note=f"not run: {type(problem).__name__}: {problem}"))
    return rows


def apart_from(path: Path) -> list[Row]:
    """Return the rows of one checkout, run in a process of its own: all releases call their packages `models`."""
    line = [sys.executable, __file__, str(path), "--inside"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        return [Row(path.name, "", "", note=f"not run: {(done.stderr.strip().splitlines() or ['it ended'])[-1]}")]
    return [Row(**row) for row in json.loads(done.stdout)]


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        numbers = ("" if each is None else "0" if each == 0 else f"{each:.1g}" for each in (row.outputs, row.gradients))
        lines.append(f"| {' | '.join((row.release, row.part, row.preset, *numbers, row.note))} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table; return 1 if something differs, or if nothing could be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="a Markdown file for the table")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps([asdict(row) for row in one(given.paths[0])]))
        return 0
    rows = [row for path in given.paths for row in apart_from(path.resolve())]
    print(text := table(rows), end="")
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    found = [max(row.outputs, row.gradients or 0.0) for row in rows if row.outputs is not None]
    return 0 if found and max(found) < EQUAL else 1


if __name__ == "__main__":
    sys.exit(main())
