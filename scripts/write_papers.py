"""Write docs/papers.md from the table of releases: python scripts/write_papers.py (a test fails when it is stale)."""

from __future__ import annotations

from pathlib import Path

from spikecli.cli.shown.fidelity import page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers.md"
OPENING = """# The papers: ours beside released beside why

This page is made from the program's own tables by `python scripts/write_papers.py`; a test fails when it is stale.
`spikecli papers --paper NAME` prints one of its tables, and `--fidelity released` follows it. Ours is what runs without
that option. A row whose name is no option is released behavior that none follows. All of it was read from the released
code. Nothing on this page is an accuracy: none of these schedules was run here.

"""


def text() -> str:
    """Return the whole page."""
    return OPENING + page()


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
