"""What the pages for contributors say: the files that they name exist, and the picture of the rooms is the rules'."""

from __future__ import annotations

import re
from pathlib import Path

from rooms import MAY_KNOW, ROOT

from spikecli.datasets.sets import KINDS, kind_named

PAGES = ("CONTRIBUTING.md", "docs/architecture.md", "docs/reliability.md", "examples/plugin/README.md")
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|sh|toml|ipynb)|(?:[\w.-]+/)+)`")
OF_USERS = {"my_parts.py", "dataset.toml"}  # files that a user writes


def depth(room: str) -> int:
    """Return how many layers stand below a room."""
    return max((1 + depth(other) for other in MAY_KNOW[room]), default=0)


def picture() -> str:
    """Return a line a room, from the top down: the room, and the rooms that it may import."""
    rooms = sorted(MAY_KNOW, key=lambda room: (-depth(room), room))
    lines = [f"{room:<12}→ {', '.join(sorted(MAY_KNOW[room])) or '(nothing)'}" for room in rooms]
    return "\n".join(lines)


def test_every_file_that_a_page_names_exists() -> None:
    missing = {
        f"{page} names {name}"
        for page in PAGES
        for name in PATH.findall((ROOT / page).read_text(encoding="utf-8"))
        if name not in OF_USERS and not any(_exists(place / name) for place in _places(page))
    }
    assert missing == set()


def test_a_missing_file_would_be_found() -> None:
    named = PATH.findall("`spikecli/nowhere.py`, `tests/`, `make test` and `--import my_parts.py`")
    assert named == ["spikecli/nowhere.py", "tests/"]
    assert not any(_exists(place / "spikecli/nowhere.py") for place in _places("CONTRIBUTING.md"))


def test_the_picture_of_the_rooms_is_that_of_the_rules() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"```\n{picture()}\n```" in text, f"docs/architecture.md should hold:\n{picture()}"


def _places(page: str) -> tuple[Path, ...]:
    """Return the folders that names may be relative to: the checkout, the package, and the page's own."""
    parents = [(ROOT / page).parent]
    formats = [ROOT / "spikecli" / each for each in ("datasets/clouds", "datasets/events", "neurons")]  # "beside it"
    return (ROOT, ROOT / "spikecli", *parents, *formats)


def _exists(path: Path) -> bool:
    return path.exists()


def test_the_table_of_formats_has_every_suffix_that_is_read() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "| `." in line]
    for kind in KINDS:
        told = {suffix for row in rows if row[0] == kind for suffix in re.findall(r"`(\.\w+)`", row[2])}
        assert told == set(kind_named(kind).suffixes()), kind
    options = {word for row in rows for word in re.findall(r"--[a-z-]+", row[5])}
    assert options == {"--sensor", "--stream", "--time-unit", "--columns", "--up"}


def test_every_picture_is_shown_on_a_page() -> None:
    """A picture that no page shows is made by no one again, and goes stale."""
    pages = "".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    pictures = sorted(path.name for path in (ROOT / "docs" / "pictures").iterdir())
    assert pictures and [name for name in pictures if f"pictures/{name}" not in pages] == []
