"""Environment variables that libraries read once, on import; set before that, unless the user has set them."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # of every OpenMP, of GNU's, of LLVM's and Intel's


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have idle threads of torch sleep rather than spin, and pydantic not search every package for plug-ins.

    A thread that spins between two products takes a core from whatever else runs on the machine. What the environment
    says already stays; of OpenMP's three variables one that is there is enough.
    """
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
    environment.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def idle_threads(environment: MutableMapping[str, str] = os.environ) -> str:
    """Return in words how the threads of products wait."""
    given = [f"{name}={environment[name]}" for name in WAITING if name in environment]
    return (
        f"idle threads sleep ({given[0]})"
        if given == ["OMP_WAIT_POLICY=passive"]
        else (f"idle threads as {', '.join(given)} says" if given else "idle threads spin")
    )
