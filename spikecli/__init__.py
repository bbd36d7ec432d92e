"""Spiking neural networks for 3-D point clouds and event cameras: a command line, and a library behind it."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import spikecli.settings  # noqa: F401 - made callable below
from spikecli.files.shipped import VERSION as __version__

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

__all__ = [
    "Answer",
    "Model",
    "SpikeError",
    "__version__",
    "evaluate",
    "load",
    "predict",
    "prepare",
    "settings",
    "train",
]


class _Callable(ModuleType):
    """The package of settings, which is also the library's function of its name: `spikecli.settings("shapes")`.

    A package inside another one is an attribute of it as soon as it is loaded, so the function needs to be found there.
    """

    def __call__(self, *given: Any, **changes: Any) -> Any:
        return import_module("spikecli.library").settings(*given, **changes)


sys.modules["spikecli.settings"].__class__ = _Callable


def __getattr__(name: str) -> Any:
    """Return a name of the library, loaded at its first use; `import spikecli` itself loads two small files."""
    if name not in __all__:
        raise AttributeError(f"module 'spikecli' has no attribute {name!r}")
    library = import_module("spikecli.library")
    import_module("spikecli.settings.plugins").load_for_library()
    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
