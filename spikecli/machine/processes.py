"""Training in several processes with torch.distributed: rank, world size, sums over the processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from spikecli.errors import SpikeError, named

BACKEND = "SPIKECLI_PROCESS_BACKEND"  # environment variable: nccl or gloo, instead of the device's own


def started_by_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return dist.is_available() and dist.is_torchelastic_launched()


def launch(arguments: Sequence[str], count: int) -> int:
    """Return the exit code of `spikecli` with these arguments in `count` processes under torchrun on this machine."""
    threads = str(max(1, (os.cpu_count() or 1) // count))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    with subprocess.Popen([*command, "-m", "spikecli", *arguments], env=environment) as launcher:
        try:
            return launcher.wait()
        except SystemExit:  # SIGTERM, which torchrun passes on: the processes save what they have
            launcher.terminate()
            raise


def refuse_crowd(count: int, device_name: str) -> None:
    """Raise SpikeError if `count` processes on the device of this name would have to share a GPU."""
    gpus = torch.cuda.device_count() if device_name.startswith(("auto", "cuda")) else count
    if 0 < gpus < count and os.environ.get(BACKEND) != "gloo":
        raise SpikeError(
            f"found {gpus} GPU{'s' * (gpus > 1)} for {named('processes')} {count}; NCCL wants one for each process: "
            "take "
            f"{named('processes')} {gpus}, or set {BACKEND}=gloo, by which processes share a GPU, slowly"
        )


def rank() -> int:
    """Return this process's number, 0 in a single process."""
    return dist.get_rank() if _several() else 0


def world() -> int:
    """Return the number of training processes."""
    return dist.get_world_size() if _several() else 1


def own_device(device: torch.device) -> torch.device:
    """Return `device`; for plain "cuda" under torchrun, the GPU with this process's local number."""
    if device.type == "cuda" and device.index is None and started_by_torchrun():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    return device


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the process group if torchrun started one, and leave it when the block ends."""
    if not started_by_torchrun():
        yield
        return
    backend = os.environ.get(BACKEND) or ("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=timedelta(minutes=10))
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(model: nn.Module) -> None:
    """Replace each gradient by its mean over the processes, in one exchange."""
    if not _several():
        return
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = summed(torch.cat([gradient.reshape(-1) for gradient in gradients])) / world()
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def summed(values: Tensor) -> Tensor:
    """Return `values` summed over the processes; raise SpikeError if one of them has ended."""
    if _several():
        with _in_company():
            dist.all_reduce(values)
    return values


def summed_with_gradient(values: Tensor) -> Tensor:
    """Return `values` summed over the processes; each process's gradient reaches all of them."""
    from torch.distributed.nn.functional import all_reduce

    with _in_company():
        return all_reduce(values)


def wait() -> None:
    """Wait until all processes reach this call; raise SpikeError if one of them has ended."""
    if _several():
        with _in_company():
            dist.barrier()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def _in_company() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SpikeError(
            f"process {rank()} lost another training process ({reason}); the last epoch is saved: "
            f"give the same command with {named('resume')}, on as many processes as you like"
        ) from error
