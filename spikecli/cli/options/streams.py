"""Options of a stream of events: its windows, its answers, its film."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options.evaluation import Confidence

AsLines = Annotated[
    bool, typer.Option("--json", help="Print one JSON document a window, a line each; everything else on stderr.")
]
WindowOf = Annotated[
    str, typer.Option("--window", help="Length of a window: a time such as 100ms, or a number of events: 5000.")
]
Hop = Annotated[str | None, typer.Option(help="Beginning of the next window, if they overlap.", show_default="window")]
Keep = Annotated[int, typer.Option(min=1, help="Number of last steps whose mean is the answer.")]
Speed = Annotated[float, typer.Option(min=0, help="Speed of a recording: 1 is real time; 0: as fast as possible.")]
Idle = Annotated[float, typer.Option(min=0, help="Seconds without events that end a stream; 0: never.")]
UntilSure = Annotated[bool, typer.Option("--until-sure", help="End at the first answer that is sure.")]
Record = Annotated[
    Path | None, typer.Option(readable=False, help="Write a film of the windows and answers: .mp4 or .gif.")
]
Picture = Annotated[bool, typer.Option("--picture", help="Show events and answers in a window too, as they come.")]


@dataclass(frozen=True)
class Lines(options.Output):
    """Options of the output: a stream has no end at which one document could be printed."""

    as_json: AsLines = False


@dataclass(frozen=True)
class StreamOptions:
    """Options of the windows, of the answers and of the film."""

    window: WindowOf = "100ms"
    hop: Hop = None
    keep: Keep = 8
    speed: Speed = 1.0
    idle: Idle = 5.0
    until_sure: UntilSure = False
    confidence: Confidence = 0.9
    record: Record = None
    picture: Picture = False
