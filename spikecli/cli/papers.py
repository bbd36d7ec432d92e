"""`spikecli papers`: the survey's taxonomy, with the options of each implemented method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikecli.cli.options import common as options
from spikecli.console import Console, Twig

if TYPE_CHECKING:
    from spikecli.settings.taxonomy import Heading, Method


def papers(as_json: options.AsJson = False, quiet: options.Quiet = False, config: options.ConfigFile = None) -> None:
    """Show the survey's taxonomy of directly trained spiking networks, each implemented method with its options.

    Example: spikecli papers
    """
    from spikecli.settings.taxonomy import TAXONOMY, from_outside, methods, nested

    console = Console(as_json, quiet)
    outside = from_outside()
    shown = (*TAXONOMY, outside) if outside else TAXONOMY
    console.document(nested(shown))
    console.tree("directly trained spiking networks (arXiv 2305.19725)", [twig(one) for one in shown])
    implemented = sum(bool(one.options) for one in methods())
    console.say(f"{implemented} of {len(methods())} are implemented; the options are those of `spikecli train`")


def twig(one: Heading | Method) -> Twig:
    """Return a branch or method for the console; methods that are not implemented are dim and marked."""
    from spikecli.settings.taxonomy import Heading

    if isinstance(one, Heading):
        return Twig(one.title, below=tuple(twig(each) for each in one.below))
    source = f"  [arXiv {one.arxiv}]" if one.arxiv else ""
    if one.options:
        return Twig(f"{one.name}{source}", " · ".join(one.options))
    return Twig(f"{one.name}{source}, not implemented", dim=True)
