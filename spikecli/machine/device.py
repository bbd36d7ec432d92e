"""Devices, memory and the precision of products."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import AbstractContextManager
from difflib import get_close_matches
from typing import Any

import torch

from spikecli.errors import ChoiceError, SpikeError
from spikecli.machine.collector import look_as_usual

DEVICES = ("auto", "cpu", "cuda", "mps")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
_PRODUCT_CACHES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")  # of torch's ideep and of oneDNN
_CACHED_PRODUCTS = 128  # several times the products of one training step
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt, from malloc.h


def choose_device(name: str) -> torch.device:
    """Return the device `name`; "auto" is the first GPU, else the CPU.

    Raise SpikeError if it is missing; raise ChoiceError if there is no such kind of device.
    """
    look_as_usual()  # torch is loaded
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        if not _DEVICE.fullmatch(name):
            near = get_close_matches(name.casefold(), DEVICES, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ChoiceError("device", f"cannot be {name!r}: {hint}choose auto, cpu, cuda, cuda:N or mps") from None
        reason = str(error).splitlines()[0]
        raise SpikeError(f"device {name!r} cannot be used ({reason}); choose auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cpu":
        keep_freed_memory()
        bound_product_caches()
    elif device.type == "cuda":
        keep_to_fp32()
    return device


def keep_to_fp32() -> None:
    """Have a GPU multiply float32 in float32, and sum in the same order each run, in this process from now on.

    By default cuDNN rounds a convolution's inputs to TF32, with 10 bits of mantissa, and so may cuBLAS where the
    environment says so; the error, some 1e-4, depends on the algorithm, which depends on the batch.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True  # else a convolution's sums come in another order each run
    torch.backends.cudnn.benchmark = False


def keep_freed_memory() -> None:
    """Let Linux's C library keep freed memory for the next tensors, in this process, from now on.

    By default it returns every large block to the system, which hands the next one out page by page and clears each:
    a tenth of a training step and a fifth of an evaluation in bfloat16. Where sizes change from step to step, gaps add
    up: `return_freed_memory` now and then keeps them from it.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 * 2**20)


def bound_product_caches() -> None:
    """Let torch cache the compiled products of 128 shapes, not 1,024, unless the environment sets the number.

    Each takes up to some megabytes. A network whose shapes change from step to step meets no shape twice, so that its
    memory would grow by gigabytes. The capacities are read at the first product, so this comes before it.
    """
    for name in _PRODUCT_CACHES:
        os.environ.setdefault(name, str(_CACHED_PRODUCTS))


def return_freed_memory() -> None:
    """Return unused memory to the system, also the gaps between tensors; does nothing without glibc."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    """Return a function of glibc; None on other systems and with musl, which lacks it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def seed_draws(device: torch.device, seed: int) -> None:
    """Have random draws on `device` begin at `seed`.

    torch.manual_seed looks for every kind of device and keeps, for each that has not begun, the stack of its caller: it
    takes longer than a layer of a small network, and memory at each step.
    """
    (torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed)(seed)


def storage_type(precision: str) -> torch.dtype:
    """Return the dtype of weights, statistics and inputs: float64 for "fp64", else float32."""
    return torch.float64 if precision == "fp64" else torch.float32


def autocast(device: torch.device, precision: str, cache: bool = True) -> AbstractContextManager[None]:
    """Return the context in which products run in `precision`; weights, statistics and losses stay in float32.

    With `cache`, a weight that was cast is kept until the context ends.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=cache)


def peak_memory(device: torch.device) -> float:
    """Return the peak memory so far in MB (10⁶ bytes): of the GPU if there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    import resource  # of Unix alone
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
