"""`python -m spikecli`, and the command `spikecli`."""

from __future__ import annotations

import sys
from contextlib import suppress


def main() -> None:
    """Run the command line of this process and exit with its code, also on Ctrl-C while it is loading."""
    try:
        from spikecli.machine import environment

        environment.prepare_process()  # before torch and pydantic are loaded: they look once
        _load_plugins()
        from spikecli.cli import entry
    except KeyboardInterrupt:
        sys.exit(130)
    entry()


def _load_plugins() -> None:
    """Register parts from outside before the options are made, which then have their fields and names."""
    from spikecli.errors import SpikeError
    from spikecli.plugins import load_plugins

    with suppress(SpikeError):  # the command line meets it again, and says it
        load_plugins(sys.argv[1:])


if __name__ == "__main__":
    main()
