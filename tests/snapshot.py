"""Compare a command's output with the text kept in snapshots/.

To accept a change that is wanted: SPIKECLI_SNAPSHOTS=rewrite pytest tests/test_snapshots.py, then read `git diff`.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "snapshots"
HOW = "if this is wanted: SPIKECLI_SNAPSHOTS=rewrite pytest tests/test_snapshots.py"
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
# Values of a machine and a moment: times, speeds, memory, sizes of files, fingerprints.
MEASURED = re.compile(r"seconds|_per_second$|memory|(^|_)bytes|sha256|ratio$|^behind_ms$")

HASH = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")


def compare(name: str, text: str) -> None:
    """Fail with a diff if `text` is not that of snapshots/NAME; fractions may differ by 2 in 100."""
    path = FOLDER / name
    if os.environ.get("SPIKECLI_SNAPSHOTS") == "rewrite":
        path.write_text(text, encoding="utf-8")
    kept = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not _same(kept, text):
        lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), f"snapshots/{name}", "now", lineterm="", n=1)
        pytest.fail("\n".join([*lines, HOW]), pytrace=False)


def of_document(document: Any, learned: bool = False) -> str:
    """Return a JSON document as text: measured values are masked, others rounded to four digits.

    So are all fractions if they were `learned` just now: rounding on another processor may turn an answer.
    """
    text = json.dumps(_masked(document), indent=1, ensure_ascii=False) + "\n"
    return re.sub(r"-?\d+\.\d+(e-?\d+)?", '"<float>"', text) if learned else text


def of_table(text: str, learned: bool = False) -> str:
    """Return printed text: where it holds a time, times are masked and so are the widths that depend on them."""
    masked = re.sub(r"\d[\d.,]*( (?:s|ms|MB)\b)", r"#\1", text)
    masked = re.sub(r"\bms \d+\.\d+", "ms #", masked)
    masked = re.sub(r"-?\d+% of the\s+time here", "#% of the time here", masked)
    if learned:
        masked = re.sub(r"\d+\.\d+|\d+%", "#", masked)
    if masked != text:
        masked = re.sub(r" +", " ", re.sub(r"([─━])[─━]+", r"\1", masked))
    return "\n".join(line.rstrip() for line in masked.splitlines()) + "\n"


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, key) for item in value]
    if MEASURED.search(key) and value is not None:
        return f"<{type(value).__name__}>"
    if isinstance(value, str) and HASH.fullmatch(value):
        return "<hash>"
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _same(kept: str, now: str) -> bool:
    one, two = NUMBER.split(kept), NUMBER.split(now)
    return len(one) == len(two) and all(a == b or _close(a, b) for a, b in zip(one, two, strict=True))


def _close(a: str, b: str) -> bool:
    """Return whether two texts are fractions that differ by rounding alone, as they do on another processor."""
    if not (NUMBER.fullmatch(a) and NUMBER.fullmatch(b) and ("." in a or "." in b)):
        return False
    return math.isclose(float(a), float(b), rel_tol=0.02, abs_tol=1e-3)
