"""What all settings share: they are frozen, refuse names that they do not know, and are validated once."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikecli.errors import SpikeError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: immutable, and a name it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=Settings)


def validated(kind: type[T], values: dict[str, Any]) -> T:
    """Return the settings that `values` describe; SpikeError naming the first one that cannot be."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise problem(error) from error


def problem(error: ValidationError) -> SpikeError:
    """Return the first fault of a validation as an error that names the setting and its value."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]).replace("_", "-")
    name = "model" if name == "name" else name  # a network's name is what --model gives
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return SpikeError(f"--{name} cannot be {first.get('input')!r}: {reason[:1].lower()}{reason[1:]}")
