"""What data sets are prepared, for the doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def prepared_sets(data_dir: Path) -> str | tuple[Literal["note"], str] | tuple[Literal["note"], str, str]:
    """Return the names of the prepared data sets; or a note, with its cure, if there is none or a plug-in is broken."""
    from spikecli.datasets.sets import broken_plug_ins  # imported where the check runs, beside the others

    if broken := broken_plug_ins():
        return "note", "; ".join(broken), "reinstall that package, or remove it"
    prepared = sorted(path.parent.name for path in data_dir.glob("*/prepared.json"))
    if not prepared:
        return "note", f"none prepared in {data_dir}"
    return f"{', '.join(prepared)} in {data_dir}"
