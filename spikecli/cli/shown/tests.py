"""Paired tests, as cells and captions of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikecli.evaluation.paired import Paired
    from spikecli.files.tables import ResultTable
    from spikecli.training.paired_papers import PaperTest

COLUMNS = ("difference", "95 % interval", "p", "test")


def cells_of(test: Paired | None) -> tuple[str, ...]:
    """Return the cells of a paired test: differences in points; dashes if there is none."""
    if test is None:
        return ("–",) * len(COLUMNS)
    interval = f"{100 * test.low:+.2f} to {100 * test.high:+.2f}"
    p = "< 0.0001" if test.p < 1e-4 else f"{test.p:.4f}"
    return f"{100 * test.difference:+.2f}", interval, p, test.test


def record_of(test: Paired | None) -> dict[str, Any]:
    """Return the numbers of a paired test by name; null if there is none."""
    from spikecli.evaluation.paired import Paired

    return asdict(test) if test else dict.fromkeys(Paired.__dataclass_fields__)


def caption_of(against: str, seed: int) -> str:
    """Return what the columns of a test are."""
    from spikecli.evaluation.paired import DRAWS

    return (
        f"differences from {against} in points, on the same samples; interval: {DRAWS:,} paired bootstrap draws of "
        f"samples and of training seeds, seed {seed}; p of no difference: McNemar's exact test, or sign flips of the "
        "samples' mean differences over several seeds; p is of these trainings, the interval of others too; p is not "
        "corrected for the number of rows"
    )


def paper_table(tests: Sequence[PaperTest], split: str) -> ResultTable:
    """Return the table of an ablation's paired tests on a split, of which there is at least one."""
    from spikecli.files.tables import ResultTable

    rows = [(one.paper, str(one.seeds), str(one.timesteps), *cells_of(one.paired)) for one in tests]
    title, caption = f"paired with {tests[0].against}", caption_of(tests[0].against, 0)
    if split == "val" and max(one.seeds for one in tests) > 1:
        caption += "; each seed holds out samples of its own, and those of all seeds are tested together"
    return ResultTable(title, ("paper", "seeds", "T", *COLUMNS), rows, caption, paper_records(tests))


def paper_records(tests: Sequence[PaperTest]) -> list[dict[str, Any]]:
    """Return the paired tests of an ablation for the document."""
    return [
        {**{name: value for name, value in vars(one).items() if name != "paired"}, **record_of(one.paired)}
        for one in tests
    ]
