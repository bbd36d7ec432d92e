"""The fastest precision of a device, for `--precision auto`."""

from __future__ import annotations

import statistics
import time
import warnings
from functools import lru_cache
from pathlib import Path

import torch

from spikecli.errors import named

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # in /proc/cpuinfo; the last is Arm's
_CPUINFO = Path("/proc/cpuinfo")
_SIDE, _ROUNDS = 384, 5  # of the products that are timed where no flags say


def settled(precision: str, device: torch.device) -> str:
    """Return `precision`, with "auto" resolved to the device's best; warn if bf16 was chosen and is slower."""
    if precision == "auto":
        return best(device)
    if precision == "bf16" and device.type == "cpu" and best(device) != "bf16":
        warnings.warn(
            f"this processor has no instructions for bfloat16, so that {named('precision')} bf16 is several times "
            "slower "
            f"than fp32 here; take {named('precision')} auto",
            stacklevel=2,
        )
    return precision


def best(device: torch.device) -> str:
    """Return "bf16" for GPUs that support it and CPUs with AVX-512 BF16, AMX or Arm BF16, else "fp32"."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_gains() else "fp32"


def reason(device: torch.device) -> str:
    """Return why `best` says what it says."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"compute capability {major}.{minor}; bfloat16 is multiplied from 8.0 on"
    if device.type != "cpu":
        return "bfloat16 is not tried there"
    flags = _cpu_flags(_CPUINFO)
    if not flags:
        return "measured, since this system lists no flags of its processor"
    found = sorted(flags & _FLAGS)
    return f"the processor has {', '.join(found)}" if found else "the processor has no instructions for bfloat16"


@lru_cache(maxsize=1)
def _cpu_gains() -> bool:
    flags = _cpu_flags(_CPUINFO)
    return bool(flags & _FLAGS) if flags else _measured_gain()


def _cpu_flags(path: Path) -> set[str]:
    """Return the flags of the first processor in Linux's list; empty without such a list."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return set(found.partition(":")[2].split())


def _measured_gain() -> bool:
    """Return whether products in bfloat16 take less than three quarters of the time of those in float32."""
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        x = torch.ones(_SIDE, _SIDE, dtype=kind)
        taken = []
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            x @ x
            taken.append(time.perf_counter() - begun)
        seconds[kind] = statistics.median(taken)
    return seconds[torch.bfloat16] < 0.75 * seconds[torch.float32]
