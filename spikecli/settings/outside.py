"""Where names from outside come from (an installed package, or a file of `--import`), and how their parts are fetched.

`settings/plugins.py` fills this, `choices.add` notes here what is added, and `neurons` and `models` fetch a builder
when one is needed: a package with torch in it is imported no earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from spikecli.errors import SpikeError


@dataclass(frozen=True)
class Origin:
    """An installed package with its version, or a file with the sha256 of its content."""

    name: str
    version: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        return f"the file {self.name}" if self.sha256 else f"the plug-in {self.name} {self.version}"


_now: ContextVar[Origin | None] = ContextVar("origin", default=None)
_origins: dict[tuple[str, str], Origin] = {}
_promised: dict[tuple[str, str], Callable[[], Any]] = {}


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Note `origin` for every name that is added in the block."""
    token = _now.set(origin)
    try:
        yield
    finally:
        _now.reset(token)


def note(slot: str, name: str) -> None:
    """Note that a name was added now; one that is added outside `coming_from` has no origin."""
    if origin := _now.get():
        _origins[slot, name] = origin


def forget(slot: str, name: str) -> None:
    """Forget a name that was removed."""
    _origins.pop((slot, name), None)
    _promised.pop((slot, name), None)


def origin_of(slot: str, name: str) -> Origin | None:
    """Return where a name comes from; None if it is built in or was added by the running program itself."""
    return _origins.get((slot, name))


def promise(slot: str, name: str, load: Callable[[], Any]) -> None:
    """Note the function that returns the builder of a name, for the first time that one is needed."""
    _promised[slot, name] = load


def fetched(slot: str, name: str) -> Any:
    """Return the builder of a name; raise SpikeError if no package declares it, or its package cannot be imported."""
    load = _promised.get((slot, name))
    if load is None:
        raise SpikeError(f"the {slot} {name!r} has a name and no builder; register the two together")
    try:
        return load()
    except Exception as error:
        source = origin_of(slot, name)
        raise SpikeError(
            f"the {slot} {name!r} of {source} cannot be loaded: {error}; mend or remove {source}"
        ) from error
