"""`python -m spikecli`, and the command `spikecli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its code, also on Ctrl-C while it is loading."""
    try:
        from spikecli.machine import environment

        environment.prepare()  # before torch and pydantic are loaded: they look once
        from spikecli.cli import entry
    except KeyboardInterrupt:
        sys.exit(130)
    entry()


if __name__ == "__main__":
    main()
