"""The peak memory of a function, measured in a separate process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from spikecli.errors import SpikeError, named
from spikecli.machine.device import peak_memory


def peak_above_imports(work: Callable[..., None], *arguments: Any, device: torch.device) -> float:
    """Return the most memory in MB (10⁶ bytes) that work(*arguments) takes in a fresh process beyond what the imports
    took: of the GPU where there is one.

    Raise SpikeError if the process was ended from outside.

    `work` is a function of a module and sets up all that it needs.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measured, work, arguments, device).result()
        except BrokenProcessPool as error:
            raise SpikeError(
                "the process that measures memory was ended, most likely for want of it; "
                f"take a smaller {named('batch_size')}"
            ) from error


def _measured(work: Callable[..., None], arguments: tuple[Any, ...], device: torch.device) -> float:
    before = resident_peak(device)
    work(*arguments)
    return resident_peak(device) - before


def resident_peak(device: torch.device) -> float:
    """Return this process's peak memory so far in MB: of the GPU if there is one."""
    status = Path("/proc/self/status")
    if device.type == "cuda" or not status.is_file():
        return peak_memory(device)
    # Linux lets a child inherit its parent's ru_maxrss; the high-water mark is of this process alone.
    kilobytes = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) * 1024 / 1e6
