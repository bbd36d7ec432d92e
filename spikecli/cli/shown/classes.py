"""The tables of `eval --by-class`: each class's accuracy, what one sample of it is worth, and what is confused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.cli.shown.tables import show_table
from spikecli.console import Console

if TYPE_CHECKING:
    from spikecli.datasets.samples import Samples
    from spikecli.files.tables import ResultTable

PAIRS = 10  # confusions, at most, that are shown; the JSON document and the CSV have all


def show_classes(
    console: Console, title: str, results: Sequence[dict[str, Any]], samples: Samples, split: str, out: Path | None
) -> None:
    """Show the rows of `step_scores.results` by class; warn where one sample decides many points of accuracy.

    With `out` two files beside it get the tables, such as x-by-class.csv and x-confusions.csv.
    """
    from spikecli.datasets.few import class_counts, few_to_score

    counts = class_counts(samples.labels, samples.classnames)
    show_table(console, accuracy_table(title, results, counts), out, "by-class")
    pairs = confusion_table(title, results)
    if pairs.rows or out is not None:
        show_table(console, pairs, out, "confusions")
    for line in few_to_score(counts, split):
        console.warn(line)


def accuracy_table(title: str, results: Sequence[dict[str, Any]], counts: Mapping[str, int]) -> ResultTable:
    """Return the accuracy of each class at each number of time steps, beside its samples and what one is worth."""
    from spikecli.datasets.few import worth
    from spikecli.files.tables import ResultTable

    def shown(share: float | None) -> str:
        return "–" if share is None or math.isnan(share) else f"{share:.1%}"

    rows = [
        (
            name,
            str(count),
            f"{worth(count):.3g}" if count else "–",
            *(shown(row["by_class"][name]) for row in results),
        )
        for name, count in counts.items()
    ]
    records = [
        {"class": name, "samples": count, "timesteps": row["timesteps"], "accuracy": row["by_class"][name]}
        for row in results
        for name, count in counts.items()
    ]
    return ResultTable(
        f"{title}, by class",
        ("class", "samples", "points a sample", *(f"T = {row['timesteps']}" for row in results)),
        rows,
        "points a sample: points of the class's accuracy, of 100, that one sample is worth",
        records,
    )


def confusion_table(title: str, results: Sequence[dict[str, Any]]) -> ResultTable:
    """Return the most frequent confusions at the last fixed number of time steps."""
    from spikecli.files.tables import ResultTable

    told = [row for row in results if "confusions" in row]
    last: dict[str, Any] = told[-1] if told else {"confusions": [], "timesteps": "–"}
    pairs = last["confusions"]
    return ResultTable(
        f"{title}, confusions at T = {last['timesteps']}",
        ("class", "taken for", "samples"),
        [(one["class"], one["predicted"], str(one["samples"])) for one in pairs[:PAIRS]],
        f"the {PAIRS} most frequent of {len(pairs)}" if len(pairs) > PAIRS else "",
        [{"timesteps": row["timesteps"], **one} for row in told for one in row["confusions"]],
    )
