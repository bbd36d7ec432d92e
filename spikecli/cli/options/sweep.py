"""Sweeps of `ablate --set lr=1e-3,2e-3`: any setting that `config show` knows, in every combination."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any

import typer

from spikecli.cli.options.fields import network_fields, neuron_fields, plain_type, training_fields
from spikecli.errors import ChoiceError
from spikecli.settings.choices import BOOLEANS, advice
from spikecli.settings.config import TrainConfig

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE,...",
        help="Settings to try, in every combination with the other --set: lr=1e-3,2e-3. Names: `spikecli config show`.",
    ),
]
# Of an ablation as a whole, or with an option of their own.
ELSEWHERE = {
    "dataset": "an ablation has one data set, its argument",
    "paper": "give the papers with --papers",
    "seed": "give the first seed with --seed, and how many with --runs",
}


def settable() -> dict[str, type]:
    """Return the type of each setting that can be swept, by its name with dashes."""
    fields = {**training_fields(), **network_fields(), **neuron_fields()}
    fields |= {name: TrainConfig.model_fields[name] for name in ("timesteps", "val_fraction", "precision")}
    kinds = {name.replace("_", "-"): plain_type(field.annotation) for name, field in fields.items()}
    return {**kinds, "model": str}


def parse_sets(texts: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return the combinations of "lr=1e-3,2e-3" and the like, by setting; one without changes for none.

    Raise ChoiceError for an unknown name, a name that is given elsewhere or twice, or a value of another type.
    """
    kinds = settable()
    axes: dict[str, list[Any]] = {}
    for text in texts or ():
        name, mark, values = (part.strip() for part in text.partition("="))
        dashed = name.replace("_", "-")
        if not mark or not values:
            raise ChoiceError("set", f"cannot be {text!r}: write NAME=VALUE,VALUE, such as lr=1e-3,2e-3")
        if dashed in ELSEWHERE:
            raise ChoiceError("set", f"cannot be {text!r}: {ELSEWHERE[dashed]}")
        if dashed not in kinds:
            raise ChoiceError("set", f"cannot be {text!r}: {advice(dashed, sorted(kinds))}")
        if dashed in axes:
            raise ChoiceError("set", f"cannot be {text!r}: {dashed} is set already; give all of its values at once")
        axes[dashed] = list(dict.fromkeys(_value(dashed, kinds[dashed], part) for part in values.split(",")))
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _value(name: str, kind: type, text: str) -> Any:
    word = text.strip()
    try:
        return BOOLEANS[word.casefold()] if kind is bool else kind(word)
    except KeyError:
        raise ChoiceError("set", f"cannot give {name} the value {word!r}: {advice(word, ('true', 'false'))}") from None
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise ChoiceError("set", f"cannot give {name} the value {word!r}: wanted {wanted}") from None
