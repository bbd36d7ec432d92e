"""Packages that an extra brings: import one, or say in one line which command installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from spikecli.errors import SpikeError

# The package by its name in imports, and the extra that brings it.
EXTRAS = {
    "matplotlib": "view",
    "mpl_toolkits": "view",
    "open3d": "view",
    "plotly": "view",
    "sklearn": "events",
    "tonic": "events",
    "open_clip": "clip",
    "torchvision": "clip",
    "tensorboard": "train",
    "nir": "export",
    "nirtorch": "export",
    "onnx": "export",
    "onnx_ir": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "snntorch": "export",
    "imageio_ffmpeg": "video",
    "hdf5plugin": "hdf5",
    "laspy": "las",
}


class MissingExtra(SpikeError):
    """A package of an extra is not installed; the line says the command."""


def needed(name: str, what: str = "this", otherwise: str = "") -> ModuleType:
    """Return the package `name`, imported; raise MissingExtra, with the command that installs it, if it is missing.

    `what` needs it; `otherwise` is another way out, such as "or name a .gif".
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        problem = explained(error, what, otherwise)
        if problem is None:
            raise
        raise problem from error


def demand(*names: str, what: str = "this") -> None:
    """Raise MissingExtra, before long work, if packages of extras are not installed; none is imported."""
    missing = [name for name in names if not installed(name)]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise MissingExtra(f"{what} needs {' and '.join(missing)}, which {are} not installed; run {command(*missing)}")


def installed(name: str) -> bool:
    """Return whether a package can be found, without importing it."""
    return find_spec(name) is not None


def explained(error: ModuleNotFoundError, what: str = "this", otherwise: str = "") -> MissingExtra | None:
    """Return the line for an import that failed for want of a package of an extra; None for any other, a bug."""
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        return None
    more = f", {otherwise}" if otherwise else ""
    return MissingExtra(f"{what} needs {package}, which is not installed; run {command(package)}{more}")


def command(*packages: str) -> str:
    """Return the command that installs packages of extras."""
    extras = dict.fromkeys(EXTRAS[package] for package in packages)
    return f"pip install 'spikecli[{','.join(extras)}]'"


@contextmanager
def saying_extras() -> Iterator[None]:
    """Raise MissingExtra for an import in the block that fails for want of a package of an extra; also a decorator."""
    try:
        yield
    except ModuleNotFoundError as error:
        problem = explained(error)
        if problem is None:
            raise
        raise problem from error
