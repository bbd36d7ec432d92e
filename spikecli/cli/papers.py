"""`spikecli papers`: the survey's taxonomy, with the options of each implemented method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from spikecli.cli.options import common as options
from spikecli.cli.shown.tables import show_table
from spikecli.console import Console, Twig

if TYPE_CHECKING:
    from pathlib import Path

    from spikecli.files.tables import ResultTable
    from spikecli.settings.taxonomy import Heading, Method


Paper = Annotated[
    str | None,
    typer.Option(
        help="One paper instead: our settings beside the released ones, and why they differ; survey is the whole tree."
    ),
]


def papers(
    paper: Paper = None,
    out: options.TableOut = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    config: options.ConfigFile = None,
) -> None:
    """Show the survey's taxonomy of directly trained spiking networks, each implemented method with its options.

    Example: spikecli papers --paper mpbn
    """
    from spikecli.files.tables import write_table
    from spikecli.settings.taxonomy import SURVEY, TAXONOMY, from_outside, methods, nested

    if paper is not None and paper != SURVEY:
        show_release(paper, out, Console(as_json, quiet))
        return

    console = Console(as_json, quiet)
    outside = from_outside()
    shown = (*TAXONOMY, outside) if outside else TAXONOMY
    console.document(nested(shown))
    console.tree("directly trained spiking networks (arXiv 2305.19725)", [twig(one) for one in shown])
    counted = [one for one in methods() if one.counted]
    implemented = f"{sum(bool(one.options) for one in counted)} of {len(counted)} methods are implemented"
    console.say(f"{implemented}, baselines not counted; the options are those of `spikecli train`")
    if out is not None:
        write_table(out, as_table(shown))
        console.note(f"wrote {out}")


def as_table(branches: Sequence[Heading | Method]) -> ResultTable:
    """Return the taxonomy as a table, a row each method with the headings above it."""
    from spikecli.files.tables import ResultTable

    records = [
        {
            "branch": " / ".join(above),
            "method": one.name,
            "arxiv": one.arxiv or "",
            "implemented": "yes" if one.options else "no",
            "options": " · ".join(one.options),
        }
        for above, one in _with_headings(branches)
    ]
    title = "directly trained spiking networks (arXiv 2305.19725)"
    return ResultTable(title, tuple(records[0]), [tuple(record.values()) for record in records], records=records)


def _with_headings(
    branches: Sequence[Heading | Method], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Method]]:
    from spikecli.settings.taxonomy import Heading

    for one in branches:
        if isinstance(one, Heading):
            yield from _with_headings(one.below, (*above, one.title))
        else:
            yield above, one


def show_release(paper: str, out: Path | None, console: Console) -> None:
    """Print a paper's settings, and write them to `out`: ours beside released beside why."""
    from spikecli.cli.shown.fidelity import COLUMNS, command_of, comparison
    from spikecli.files.tables import ResultTable
    from spikecli.settings.releases import entry_of

    rows, release = comparison(paper), entry_of(paper)
    about = {"paper": paper, "title": release.title, "arxiv": release.arxiv, "code": release.code}
    console.document({**about, "command": command_of(paper, release), "rows": [vars(row) for row in rows]})
    title = f"{release.title} (arXiv {release.arxiv}), code: {release.code or 'none known'}"
    cells = [(row.setting, row.ours, row.released, row.why) for row in rows]
    show_table(console, ResultTable(title, COLUMNS, cells, records=[vars(row) for row in rows]), out)
    if command := command_of(paper, release):
        console.say(f"as released: {command}")


def twig(one: Heading | Method) -> Twig:
    """Return a branch or method for the console; methods that are not implemented are dim and marked."""
    from spikecli.settings.taxonomy import Heading

    if isinstance(one, Heading):
        return Twig(one.title, below=tuple(twig(each) for each in one.below))
    source = f"  [arXiv {one.arxiv}]" if one.arxiv else ""
    if one.options:
        return Twig(f"{one.name}{source}", " · ".join(one.options))
    return Twig(f"{one.name}{source}, not implemented", dim=True)
