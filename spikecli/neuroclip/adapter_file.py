"""How a file says that it holds an adapter: asked of every weights file, so it loads nothing of CLIP."""

from __future__ import annotations

from pathlib import Path

from spikecli.files import tensors

FORMAT = "spikecli-adapter-1"


def is_adapter(path: Path) -> bool:
    """Return whether `path` holds an adapter that `fewshot` saved."""
    return tensors.metadata(path).get("format") == FORMAT
