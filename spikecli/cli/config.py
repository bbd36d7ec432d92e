"""`spikecli config`: the settings of a run, a paper or a recipe, as TOML for `--config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.options import complete
from spikecli.console import Console
from spikecli.errors import ChoiceError
from spikecli.settings.choices import advice
from spikecli.settings.config import TrainConfig
from spikecli.settings.document import as_options, as_toml
from spikecli.settings.papers import PAPERS
from spikecli.settings.recipes import RECIPES

config_app = typer.Typer(no_args_is_help=True, help="The settings of runs, papers and recipes.")

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|PAPER|RECIPE]",
        help="A run folder, `reference`, a paper (lif, mpbn+ternary) or a recipe.",
        show_default="what `spikecli train` does",
        autocompletion=complete.sources,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="The data set of a paper or a recipe.",
        show_default="one that suits the recipe",
        autocompletion=complete.all_datasets,
    ),
]
# Recipe: a data set of its kind, shapes for the others; and its network, if the recipe has one.
EXAMPLES = {"cifar": "cifar10", "pictures": "cifar10", "events": "digits"}
NETWORKS = {"dela": "dela"}


@config_app.command()
def show(
    source: Source = None,
    data: Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Print every setting as TOML, with what it is; `spikecli train --config FILE` takes it back.

    Example: spikecli config show spiking-pointnet > mine.toml
    """
    found, title = settings_from(source, data)
    console = Console(as_json, quiet=True)
    console.document({"source": source, "settings": as_options(found)})
    console.say(as_toml(found, title).rstrip("\n"))


def settings_from(source: str | None, data: str | None) -> tuple[TrainConfig, str]:
    """Return the settings of a run, a paper or a recipe, and a line with their origin.

    Raise SpikeError if the name is none of these.
    """
    from spikecli.cli.options.training import NETWORK, NEURON_PARTS, TRAINING
    from spikecli.training.settings import settings_of
    from spikecli.weights.reference import is_name
    from spikecli.weights.run_record import settings_kept

    paper = source if source and all(part in PAPERS for part in source.split("+")) else None
    recipe = source if source in RECIPES and not paper else None
    if source and not paper and not recipe:
        if not Path(source).exists() and not is_name(Path(source)):
            raise ChoiceError(
                "settings", f"cannot be {source!r}: found no such run; {advice(source, (*PAPERS, *RECIPES))}"
            )
        return settings_kept(Path(source)), f"The settings of the run {source}."
    dataset = data or EXAMPLES.get(recipe or "", "shapes")
    nothing = [dict.fromkeys(table) for table in (TRAINING, NEURON_PARTS, NETWORK)]
    nothing[-1] |= {"name": NETWORKS.get(recipe or "")}
    title = (
        f"The settings of the {'paper' if paper else 'recipe'} {source}." if source else "What `spikecli train` does."
    )
    return settings_of(dataset, paper, recipe, *nothing), title
