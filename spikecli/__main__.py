"""`python -m spikecli`, and the command `spikecli`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line of this process and exit with its code, also on Ctrl-C while it loads or ends."""
    try:
        from spikecli.machine import clock, collector, environment

        clock.start()
        collector.look_rarely()  # until the libraries are loaded
        environment.prepare_process()  # before torch and pydantic are loaded: they look once
        from spikecli.settings import plugins

        plugins.load_first(sys.argv[1:])  # before the options are made, which then have their fields and names
        from spikecli.cli import entry

        entry()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # nothing of it is garbage to look for at the end: the system takes the memory back


if __name__ == "__main__":
    main()
