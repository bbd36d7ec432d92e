"""Recognize files of adapters; called for every weights file, so it does not import CLIP."""

from __future__ import annotations

from pathlib import Path

from spikecli.files import tensors

FORMAT = "spikecli-adapter-1"


def is_adapter(path: Path) -> bool:
    """Return whether `path` holds an adapter that `fewshot` saved."""
    return tensors.metadata(path).get("format") == FORMAT
