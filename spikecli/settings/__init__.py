"""Settings: validated once, frozen, saved with every run."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which is also the library's function of its name: `spikecli.settings("shapes", epochs=30)`.

    A package inside another one is an attribute of it as soon as it is loaded, so the function needs to be found here.
    """

    def __call__(self, *given: Any, **changes: Any) -> Any:
        return import_module("spikecli.library").settings(*given, **changes)


sys.modules[__name__].__class__ = _Callable
