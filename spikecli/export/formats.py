"""The formats of `export`: an open table. A package adds one with an entry point in the group `spikecli.exports`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from spikecli.errors import ChoiceError, SpikeError
from spikecli.export.subject import Subject
from spikecli.export.wanted import Checked, Exported, Refusal, Wanted
from spikecli.files.atomic import demand_place
from spikecli.files.extras import demand

__all__ = [  # with the terms that a format of your own needs
    "GROUP", "Checked", "Exported", "Format", "Refusal", "Wanted", "add", "demand_fit", "demand_packages", "export",
    "named", "names",
]  # fmt: skip

GROUP = "spikecli.exports"


class Format(Protocol):
    """A way to write a network down.

    It may have two facts more: a `work` such as "tracing", which names in the command's note what takes long, and
    `packages`, names of imports that writing needs.
    """

    def refusals(self, subject: Subject, wanted: Wanted) -> list[Refusal]:
        """Return what the format cannot say, by node; writes nothing."""

    def write(self, subject: Subject, wanted: Wanted, path: Path) -> Exported:
        """Write the network to `path` after a check; raise SpikeError, with nothing written, if the check fails."""


_BUILT_IN = {
    "onnx": "spikecli.export.onnx_format:ONNX",
    "nir": "spikecli.export.nir_format:NIR",
    "pt2": "spikecli.export.torch_format:TORCH",
}
_ADDED: dict[str, Format] = {}


def add(name: str, form: Format) -> None:
    """Add a format under the suffix `name`, with or without its dot; raise SpikeError if the name is taken."""
    name = name.removeprefix(".")
    if name in names():
        raise SpikeError(f"the export format {name!r} is there already; give yours another name")
    _ADDED[name] = form


def names() -> tuple[str, ...]:
    """Return the suffixes of all formats, without the dot."""
    return tuple(dict.fromkeys([*_BUILT_IN, *_ADDED, *(point.name for point in entry_points(group=GROUP))]))


def named(name: str, setting: str = "out") -> Format:
    """Return a format by its suffix; raise ChoiceError on the setting if there is none, raise SpikeError if it cannot
    be loaded."""
    if name in _ADDED:
        return _ADDED[name]
    if name in _BUILT_IN:
        module, _, value = _BUILT_IN[name].partition(":")
        found: Format = getattr(import_module(module), value)
        return found
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                loaded: Format = point.load()
            except Exception as error:
                raise SpikeError(f"the export format {name!r} cannot be loaded: {error}; mend its package") from error
            return loaded
    dot, wrong = (
        ("", f"be {name!r}") if setting == "check" else (".", f"end in .{name}" if name else "be without a suffix")
    )
    raise ChoiceError(setting, f"cannot {wrong}: choose one of {', '.join(f'{dot}{each}' for each in names())}")


def demand_packages(name: str) -> None:
    """Raise MissingExtra if a package is not installed that writing in a format needs."""
    demand(*getattr(named(name), "packages", ()), what=f"a .{name} file")


def demand_fit(subject: Subject, wanted: Wanted) -> None:
    """Raise ChoiceError if something is wanted that says nothing for this kind of data."""
    if wanted.sensor is not None and subject.kind not in ("events", "clip"):
        raise ChoiceError("sensor", f"is for networks on recordings; {subject.name} was trained on {subject.kind}")


def export(subject: Subject, wanted: Wanted, path: Path, on_write: Callable[[], None] = lambda: None) -> Exported:
    """Write a network to `path` in the format of its suffix, checked; raise SpikeError if it cannot be said or differs.

    A refused network leaves no file, and no new folder. The place and the files to check it on are looked at first.
    `on_write` is called when nothing was refused and the long part begins.
    """
    from spikecli.export.probes import demand_files

    name = path.suffix.removeprefix(".")
    form = named(name)
    demand_packages(name)
    demand_place(path)
    demand_fit(subject, wanted)
    demand_files(subject, wanted)
    if refused := form.refusals(subject, wanted):
        more = (
            f" (and {len(refused) - 1} more; `spikecli export RUN --check {name}` lists them)"
            if len(refused) > 1
            else ""
        )
        raise SpikeError(f"{path.suffix} cannot say {refused[0].node}: {refused[0].reason}{more}")
    on_write()
    return form.write(subject, wanted, path)
