"""Environment variables that libraries read once, on import; set before that, unless the user has set them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # of every OpenMP, of GNU's, of LLVM's and Intel's


def prepare_process(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have idle threads of torch sleep rather than spin, and pydantic not search every package for plug-ins.

    A thread that spins between two products takes a core from whatever else runs on the machine. What the environment
    says already stays; of OpenMP's three variables one that is there is enough. Without a home that can be written,
    matplotlib keeps its list of fonts in the folder for temporary files.
    """
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
    environment.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    settings = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "")) / ".config")
    if not _writable(settings) and (cache := _own_cache()):
        environment.setdefault("MPLCONFIGDIR", str(cache))


def _writable(folder: Path) -> bool:
    """Return whether a file, which gets no name, can be made in `folder` or the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _own_cache() -> Path | None:
    """Return this user's folder for matplotlib's list of fonts, which takes seconds to make; None if it is not safe."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"spikecli-matplotlib-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if folder.stat().st_uid == user else None
    except OSError:
        return None


def idle_threads(environment: MutableMapping[str, str] = os.environ) -> str:
    """Return in words how the threads of products wait."""
    given = [f"{name}={environment[name]}" for name in WAITING if name in environment]
    return (
        f"idle threads sleep ({given[0]})"
        if given == ["OMP_WAIT_POLICY=passive"]
        else (f"idle threads as {', '.join(given)} says" if given else "idle threads spin")
    )
