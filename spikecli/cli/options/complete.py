"""What the shell offers for an option or argument: data sets, runs, and names of parts; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spikecli.cli.options.common import DATA_DIR
from spikecli.settings import choices

_PREPARED = ("prepared.json", "dataset.toml")
_DEPTH = 2  # folders below checkpoints/: an ablation's runs lie one deeper than others

Offer = tuple[str, str]  # a value, and what it is


def _beginning(offers: Iterable[Offer], incomplete: str) -> list[Offer]:
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def _known() -> dict[str, Any]:
    from spikecli.datasets.clouds.facts import POINT_SETS
    from spikecli.datasets.events.facts import EVENT_SETS
    from spikecli.datasets.images.facts import IMAGE_SETS

    return {**POINT_SETS, **EVENT_SETS, **IMAGE_SETS}


def datasets(ctx: Any, incomplete: str) -> list[Offer]:
    """Return what is prepared in --data-dir, and the built-in sets that are made at their first use."""
    folder = Path(ctx.params.get("data_dir") or DATA_DIR)
    prepared = {
        path.name: "prepared"
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if any((path / name).is_file() for name in _PREPARED)
    }
    made = {name: "built in" for name, facts in _known().items() if facts.made}
    return _beginning({**made, **prepared}.items(), incomplete)


def all_datasets(ctx: Any, incomplete: str) -> list[Offer]:
    """Return every data set, prepared or not."""
    known = dict.fromkeys(_known(), "not prepared")
    return _beginning({**known, **dict(datasets(ctx, ""))}.items(), incomplete)


def _folders(parent: Path, depth: int) -> Iterator[Path]:
    from spikecli.weights.run_folder import is_run

    for path in sorted(parent.iterdir()) if parent.is_dir() else []:
        if is_run(path):
            yield path
        elif depth > 1 and path.is_dir():
            yield from _folders(path, depth - 1)


def runs(ctx: Any, incomplete: str) -> list[Offer]:
    """Return the run folders in checkpoints/, and in the folder that is being typed; files are the shell's to add."""
    from spikecli.weights.run_folder import RUNS

    typed = Path(incomplete).parent if "/" in incomplete else RUNS
    found = [(str(path), "run") for place in dict.fromkeys((RUNS, typed)) for path in _folders(place, _DEPTH)]
    return _beginning(dict([*found, ("reference", "weights that come with the program")]).items(), incomplete)


def ablations(ctx: Any, incomplete: str) -> list[Offer]:
    """Return the runs, the folders of ablations, and the prepared data sets: what `view` can draw, beside files."""
    from spikecli.weights.run_folder import RUNS

    several = [(str(path.parent), "ablation") for path in _folders(RUNS, _DEPTH) if path.parent != RUNS]
    return [*runs(ctx, incomplete), *_beginning(dict(several).items(), incomplete), *datasets(ctx, incomplete)]


def sources(ctx: Any, incomplete: str) -> list[Offer]:
    """Return the runs, papers and recipes."""
    named = {**choices.described("paper"), **choices.described("recipe")}
    return [*_beginning(named.items(), incomplete), *runs(ctx, incomplete)]


def listed(slot: str, mark: str = ",") -> Callable[[Any, str], list[Offer]]:
    """Return a completer of names of a slot, of which several may be given with `mark` between them."""

    def complete(ctx: Any, incomplete: str) -> list[Offer]:
        before, found, last = incomplete.rpartition(mark)
        return [(f"{before}{found}{name}", text) for name, text in _beginning(choices.described(slot).items(), last)]

    return complete


def among(values: Iterable[object]) -> Callable[[Any, str], list[Offer]]:
    """Return a completer of a few values."""
    known = [(str(value), "") for value in values]

    def complete(ctx: Any, incomplete: str) -> list[Offer]:
        return _beginning(known, incomplete)

    return complete
