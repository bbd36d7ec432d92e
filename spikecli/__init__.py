"""Spiking neural networks for 3-D point clouds and event cameras: a command line, and a library behind it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikecli.library import (
        Answer,
        Model,
        SpikeError,
        evaluate,
        load,
        predict,
        prepare,
        settings,
        train,
    )

__version__ = "0.1.0"
__all__ = ["Answer", "Model", "SpikeError", "evaluate", "load", "predict", "prepare", "settings", "train"]


def __getattr__(name: str) -> Any:
    """Return a name of the library, loaded at its first use; `import spikecli` itself loads nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'spikecli' has no attribute {name!r}")
    library = import_module("spikecli.library")
    import_module("spikecli.settings.plugins").load_for_library()
    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
