"""Packages that an extra brings: import one, or say in one line which command installs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from spikecli.errors import SpikeError

# The package by its name in imports, and the extra that brings it.
EXTRAS = {
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "nir": "export",
    "nirtorch": "export",
    "snntorch": "export",
}


class MissingExtra(SpikeError):
    """A package of an extra is not installed; the line says the command."""


def needed(name: str) -> ModuleType:
    """Return the package `name`, imported; raise MissingExtra, with the command that installs it, if it is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != name.split(".")[0]:
            raise
        raise missing(name) from error


def missing(name: str) -> MissingExtra:
    """Return the error for a package that is not installed."""
    extra = EXTRAS[name.split(".")[0]]
    return MissingExtra(f"this needs {name.split('.')[0]}, which is not installed; run pip install 'spikecli[{extra}]'")
