"""Walk through the program with one command: which files it goes through, and how often it turns back.

    python scripts/walk.py predict chair.off

The command runs, and each call from one file of the package into another is a step; the same step several times in a
row is one. The walk turns back if the next step does not start in the file that was entered last: someone who reads
along has to climb back up. What every command passes is left out: errors, settings, options, the console. The network
and the readers of data are a place each, inside which nothing is counted.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from types import FrameType
from typing import Any

LEFT_OUT = ("__init__", "__main__", "errors", "console", "progress", "cli/__init__", "cli/options", "settings")
LEFT_OUT += ("config", "combinations", "taxonomy")  # where settings were before the redesign
PLACES = {
    "the network": ("models", "neurons", "weights/reparameterize"),
    "the data": ("datasets", "samples", "vision"),  # the last two before the redesign
}


class Walk:
    """The steps between the files of a package: (from, to)."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.steps: list[tuple[str, str]] = []
        self.seen: set[FrameType] = set()

    def place(self, frame: FrameType) -> str | None:
        """Return the file of a frame, without its suffix, or the place that it is in; None outside the package."""
        path = Path(frame.f_code.co_filename)
        if frame.f_code.co_name == "<module>" or not path.is_relative_to(self.package):
            return None
        name = path.relative_to(self.package).with_suffix("").as_posix()
        return next(
            (place for place, rooms in PLACES.items() if f"{name}/".startswith(tuple(f"{room}/" for room in rooms))),
            name,
        )

    def on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note a call that reaches another file than the one that it is made in."""
        if event != "call" or frame in self.seen or (here := self.place(frame)) is None or here.startswith(LEFT_OUT):
            return
        self.seen.add(frame)  # a generator goes on in the frame that it began in
        caller, there = frame.f_back, None
        while caller is not None and (there := self.place(caller)) is None:
            caller = caller.f_back  # through a library
        if there is None or there == here or there.startswith(LEFT_OUT) or there in PLACES:
            return
        if self.steps[-1:] != [(there, here)]:
            self.steps.append((there, here))

    @property
    def files(self) -> list[str]:
        """The files and places that were entered, in order."""
        return list(dict.fromkeys(name for step in self.steps for name in step))

    @property
    def turns(self) -> int:
        """How often the next step starts in another file than the one entered last."""
        return sum(start != last for (_, last), (start, _) in zip(self.steps, self.steps[1:], strict=False))


def walk(line: list[str]) -> Walk:
    """Return the walk of a command line, which is run twice: what is loaded once is no part of it."""
    import spikecli
    from spikecli.cli import run

    found = Walk(Path(spikecli.__file__).parent)
    with contextlib.redirect_stdout(io.StringIO()):
        run(line)
        sys.setprofile(found.on_event)
        try:
            run(line)
        finally:
            sys.setprofile(None)
    return found


if __name__ == "__main__":
    done = walk(sys.argv[1:])
    print("\n".join(f"{start} → {end}" for start, end in done.steps))
    print(f"{len(done.files)} files, {len(done.steps)} steps, {done.turns} turns back")
