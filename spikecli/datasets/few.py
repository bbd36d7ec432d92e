"""Warnings of small classes: what one sample is worth in a score, and which classes have few to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikecli.errors import named

POINTS = 5.0  # of a class's accuracy, at most, that one sample should be worth
FEW_SCORED = int(100 / POINTS)  # samples of a class; with fewer, one is worth more
FEW_TRAINED = 10  # samples of a class to learn from
CURES = ("start_from", "balance")  # settings that help where samples are few
_NAMED = 3  # further classes that are named


def worth(count: int) -> float:
    """Return the points of accuracy, of 100, that one of `count` samples is worth."""
    return 100 / count


def few_to_score(counts: Mapping[str, int], part: str = "test") -> list[str]:
    """Return one line on the classes of which one sample is worth more than POINTS points of accuracy, or no line.

    `counts` are the samples of each class in a part of the data; a class without samples has no accuracy at all.
    """
    few = _fewest({name: count for name, count in counts.items() if 0 < count < FEW_SCORED})
    if not few:
        return []
    name, count = few[0]
    what = f"{count} {part} sample{'s' * (count > 1)}"
    value = f"one is worth {worth(count):.0f} points" if count > 1 else "it alone decides all 100 points"
    return [f"class {name} has {what}: {value} of its accuracy{_others(few[1:], FEW_SCORED)}"]


def few_to_train(counts: Mapping[str, int], cures: Sequence[str] = CURES) -> list[str]:
    """Return one line on the classes with fewer than FEW_TRAINED samples to learn from, or no line.

    `cures` are those of CURES that are not in use yet.
    """
    few = _fewest({name: count for name, count in counts.items() if count < FEW_TRAINED})
    if not few:
        return []
    name, count = few[0]
    what = {
        "start_from": f"start from other weights ({named('start_from')})",
        "balance": f"balance the batches ({named('balance')})",
    }
    *first, last = ["add some", *(what[one] for one in cures)]
    cure = f"{', '.join(first)} or {last}" if first else last
    return [
        f"class {name} has {count} training sample{'s' * (count != 1)}, which is few: {cure}"
        f"{_others(few[1:], FEW_TRAINED)}"
    ]


def few_held_out(counts: Mapping[str, int]) -> list[str]:
    """Return one line if one held-out sample is worth more than POINTS points of the held-out accuracy, or no line."""
    count = sum(counts.values())
    if not 0 < count < FEW_SCORED:
        return []
    what = f"{count} samples are" if count > 1 else "one sample is"
    return [f"{what} held out: one is worth {worth(count):.0f} points of the held-out accuracy"]


def class_counts(labels: np.ndarray, classnames: Sequence[str]) -> dict[str, int]:
    """Return the number of samples of each class, of labels (S,)."""
    counts = np.bincount(labels, minlength=len(classnames)).tolist()
    return dict(zip(classnames, counts, strict=True))


def _fewest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: item[1])


def _others(few: Sequence[tuple[str, int]], least: int) -> str:
    if not few:
        return ""
    told = ", ".join(f"{name} ({count})" for name, count in few[:_NAMED])
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return f"; fewer than {least} too: {told}{more}"
