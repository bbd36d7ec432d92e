"""What `spikecli` alone says: what to do first."""

from __future__ import annotations

from spikecli.cli.options.complete import runs
from spikecli.console import Console

STEPS = (
    ("spikecli predict chair.off", "name a mesh or cloud of yours, with weights that come with the program"),
    ("spikecli train shapes --epochs 5", "train on built-in clouds, in a minute or two"),
    ("spikecli eval", "score the newest run at T = 1, 2, 3, 4"),
    ("spikecli data prepare NAME --from FOLDER", "make a data set of your own scans, recordings or pictures"),
    ("spikecli doctor", "see what works on this machine"),
)


def say_first_steps(console: Console) -> None:
    """Print a few lines: five commands to begin with, and where the others are."""
    width = max(len(command) for command, _ in STEPS)
    console.say("Spiking neural networks for 3-D point clouds and event cameras. To begin:\n")
    for command, what in STEPS:
        console.say(f"  {command:{width}}  {what}")
    console.say(f"\nAll commands: spikecli --help, spikecli COMMAND --help{_runs()}.")
    console.say("To complete commands, data sets and runs with Tab: spikecli --install-completion")


def _runs() -> str:
    count = sum(what == "run" for _, what in runs(None, ""))
    return f"; your {count} run{'s' * (count > 1)}: spikecli runs" if count else ""
