"""The plug-ins, or the files of `--import`, that define the parts of a checkpoint."""

from __future__ import annotations

import warnings
from typing import Any

from spikecli.errors import SpikeError, named
from spikecli.settings import choices
from spikecli.settings.config import TrainConfig
from spikecli.settings.neuron import PARTS
from spikecli.settings.outside import Origin, origin_of

SHAPE = [{"slot": str, "part": str, "name": str, "version": str, "sha256": str}]


def needs(config: TrainConfig) -> list[dict[str, str]]:
    """Return each part of a network that comes from outside, with the package and version or the file and sha256."""
    neuron = config.model.neuron
    used = [("model", config.model.name)]
    used += [(slot, getattr(neuron, slot)) for slot in PARTS] if neuron is not None else []
    return [
        {"slot": slot, "part": part, "name": origin.name, "version": origin.version, "sha256": origin.sha256}
        for slot, part in used
        if (origin := origin_of(slot, part))
    ]


def demand(noted: list[dict[str, Any]], where: str) -> None:
    """Raise SpikeError if a part that `where` needs is not there, naming its package or file.

    One that comes from another version or file than it was trained with is a warning.
    """
    for each in noted:
        slot, part = each["slot"], each["part"]
        wanted = Origin(each["name"], each["version"], each["sha256"])
        if slot not in choices.BUILT_IN or part not in choices.names(slot):
            cure = f"add {named('import')} {wanted.name}" if wanted.sha256 else "install it"
            digest = f" (sha256 {wanted.sha256[:12]}…)" if wanted.sha256 else ""
            raise SpikeError(f"{where} needs the {slot} {part!r} of {wanted}{digest}, which is not there; {cure}")
        found = origin_of(slot, part)
        if found is not None and (found.version, found.sha256) != (wanted.version, wanted.sha256):
            change = f"{found}" if found.version != wanted.version else f"{found}, which has changed since"
            warnings.warn(
                f"{where} was trained with the {slot} {part!r} of {wanted}; here it is of {change}", stacklevel=2
            )
