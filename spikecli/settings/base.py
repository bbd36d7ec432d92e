"""The base of all settings: frozen, validated once, unknown names refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikecli.errors import ChoiceError, SettingError
from spikecli.settings.choices import UnknownName, advice

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: immutable; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T", bound=Settings)


def validated(kind: type[T], values: dict[str, Any]) -> T:
    """Return the settings that `values` describe; raise SpikeError naming the first that is invalid."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise problem(error) from error


def problem(error: ValidationError) -> SettingError:
    """Return the first fault of a validation as an error with the setting, its value and the valid values."""
    first = error.errors()[0]
    place = [part for part in first["loc"] if part not in ("model", "neuron")] or ["model"]
    name = ".".join(str(part) for part in place)
    name = "model" if name == "name" else name  # a network's name is what --model gives
    value, cause = first.get("input"), first.get("ctx", {})
    if first["type"] == "literal_error":
        known = re.findall(r"[^\s',]+", cause["expected"].replace(" or ", " "))
        return ChoiceError(name, f"cannot be {value!r}: {advice(value, known)}")
    if isinstance(cause.get("error"), UnknownName):
        return ChoiceError(name, f"cannot be {value!r}: {cause['error']}")
    if first["type"] == "extra_forbidden":
        return SettingError(name, "is no setting here; remove it")
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return SettingError(name, f"cannot be {value!r}: {reason[:1].lower()}{reason[1:]}")
