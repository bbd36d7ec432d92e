"""Named tensors in safetensors files: nothing is unpickled; names, shapes and types are checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spikecli.errors import SpikeError, named
from spikecli.files.atomic import atomic_path
from spikecli.files.gate import reading

_PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_CURE = "copy it again, or make it again"


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file; raise SpikeError if it is missing, damaged or no such file.

    No header can claim more than the file holds: safetensors compares the two before anything is taken.
    """
    with reading(path, _CURE, SafetensorError):
        with path.open("rb") as file:
            if file.read(2) in _PICKLES:
                raise SpikeError(f"{path} is a pickle, which could run code when loaded; give a .safetensors file")
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
            return tensors, dict(opened.metadata() or {})


def metadata(path: Path) -> dict[str, str]:
    """Return only the metadata of a safetensors file; raise SpikeError as `read` does."""
    with reading(path, _CURE, SafetensorError), safe_open(path, framework="pt") as opened:
        return dict(opened.metadata() or {})


def check(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise SpikeError naming the first `expected` tensor that `found` lacks or has in another shape or type.

    Values must be finite. Only shapes and types of `expected` are read: it may be on the meta device.
    """
    missing = sorted(set(expected) - set(found))
    if missing:
        raise SpikeError(
            f"{path} lacks {missing[0]} (and {len(missing) - 1} more): it is not of the model it names; give another"
        )
    for name, wanted in expected.items():
        value = found[name]
        if value.shape != wanted.shape:
            raise SpikeError(
                f"{path}: {name} has shape {tuple(value.shape)} where the model it names has {tuple(wanted.shape)}; "
                "give another"
            )
        if value.is_floating_point() != wanted.is_floating_point():
            raise SpikeError(f"{path}: {name} is of type {value.dtype}, wanted {wanted.dtype}; give another")
    check_finite(path, {name: found[name] for name in expected})


def check_finite(path: Path, found: Mapping[str, Tensor]) -> None:
    """Raise SpikeError naming the first tensor that holds NaN or infinity."""
    if name := _not_finite(found):
        raise SpikeError(f"{path}: {name} holds NaN or infinity; use an earlier checkpoint of the run")


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str], finite: bool = True) -> None:
    """Write tensors to a safetensors file atomically; raise SpikeError if one is not finite or the disk is full.

    Weights that are not finite never replace finite ones, unless `finite` is False.
    """
    if finite and (name := _not_finite(tensors)):
        raise SpikeError(f"{name} has become NaN or infinity; {path} is kept as it was: try a lower {named('lr')}")
    values = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(values, temporary, metadata=metadata)
        except SafetensorError as error:
            raise _as_os_error(error) from error


def _as_os_error(error: SafetensorError) -> OSError:
    """Return the OSError that safetensors reports as text, such as "… (os error 28)"."""
    found = re.search(r"os error (\d+)", str(error))
    return OSError(int(found[1]) if found else None, str(error))


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity.

    Either reaches the sum, which takes a twentieth of the time; only a sum that overflowed is looked at closely.
    """
    suspect = (name for name, value in tensors.items() if not value.sum().isfinite())
    return next((name for name in suspect if not torch.isfinite(tensors[name]).all()), None)
