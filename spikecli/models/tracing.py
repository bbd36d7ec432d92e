"""Say that a network is being written down as a graph: layers then compute in the fewest operations, for any batch.

The tiles that keep memory small on a CPU are loops over clouds, which a graph would hold one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_traced: ContextVar[bool] = ContextVar("traced", default=False)


def is_traced() -> bool:
    """Return whether the code runs inside `traced`."""
    return _traced.get()


@contextmanager
def traced() -> Iterator[None]:
    """Let every layer in the block use its form without loops over samples."""
    token = _traced.set(True)
    try:
        yield
    finally:
        _traced.reset(token)
