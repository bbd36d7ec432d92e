"""Worker processes that end with their parent, however the parent ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from spikecli.errors import SpikeError, names_options, naming_options


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes; tasks that have not started when the block ends are canceled.

    Raise SpikeError if a worker is killed, for example because memory ran out, or if none can start.
    """
    # A forked child would inherit locks of threads that torch and HDF5 have started.
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(begun, names_options()))
    try:
        yield executor
    except BrokenProcessPool:
        if not begun.is_set():  # each worker imports the script that is run before anything else
            raise SpikeError(
                "no worker process could start; in a script of your own, call this under "
                'if __name__ == "__main__":, as each worker imports the script'
            ) from None
        raise SpikeError("a worker process was killed, as when memory runs out; free some and run again") from None
    finally:
        executor.shutdown(cancel_futures=True)


def _begin(begun: Event, options: bool) -> None:
    """Ignore Ctrl-C, since the parent stops the workers; end when the parent is killed. Set `begun` first.

    Errors name settings as the parent's do.
    """
    begun.set()
    naming_options(options).__enter__()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
