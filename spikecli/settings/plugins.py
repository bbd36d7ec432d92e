"""Parts, networks and presets of installed packages, and of the files that `--import` names.

An installed package says in its entry points what it brings:

    [project.entry-points."spikecli.neurons"]
    "fire.three-level" = "my_package.parts:build"      # SLOT.NAME = the builder that `neurons.register` takes
    [project.entry-points."spikecli.models"]
    dots = "my_package.settings:DotsConfig"            # NAME = a ModelConfig whose `network` is "my_package.dots:build"
    [project.entry-points."spikecli.papers"]
    dotted = "my_package.settings:DOTTED"              # NAME = a Paper

Names alone give the choices: a neuron's part and a network are imported when one is built. Settings and papers are
imported at the start, so their module must not import torch. Data sets have the group `spikecli.datasets`
(`datasets/sets.py`). A broken plug-in is one line of warning.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.errors import ChoiceError, SpikeError

if TYPE_CHECKING:
    from spikecli.settings.outside import Origin

VARIABLE = "SPIKECLI_IMPORT"  # files to import, with the separator of PATH between them
OPTION = "--import"
COMPLETING = "_SPIKECLI_COMPLETE"  # the variable by which a shell asks for completion


def load_plugins(words: Sequence[str] = ()) -> tuple[list[str], tuple[str, ...]]:
    """Register what plug-ins and imported files bring, once; return `words` without --import, and warnings.

    Raise SpikeError if a file of --import or SPIKECLI_IMPORT is missing or stops. A shell that completes a word waits:
    files, which may import torch, are not run for it.
    """
    kept, files = split(words)
    broken = installed()
    if COMPLETING in os.environ:
        return kept, ()
    for file in [*filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)), *files]:
        if problem := _imported(Path(file).absolute()):
            raise SpikeError(problem)
    return kept, broken


def load_first(words: Sequence[str]) -> None:
    """Register the same for a command line that is not built yet; it meets an error again, and says it."""
    with suppress(SpikeError):
        load_plugins(words)


def load_for_library() -> None:
    """Register the same for a program that imports spikecli; a broken plug-in is a warning, once."""
    for line in load_plugins()[1]:
        warnings.warn(line, stacklevel=3)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a command line without its --import FILE, and those files; raise ChoiceError if no file is named."""
    kept: list[str] = []
    files: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*kept, word, *left], files
        if word == OPTION:
            if not left or left[0].startswith("--"):
                raise ChoiceError("import", "needs the name of a Python file: --import my_parts.py")
            files.append(left.pop(0))
        elif word.startswith(f"{OPTION}="):
            files.append(word.partition("=")[2])
        else:
            kept.append(word)
    return kept, files


@cache
def installed() -> tuple[str, ...]:
    """Register what installed packages bring, once; return a line on each entry point that is broken."""
    broken = []
    found = entry_points()
    for group, add in GROUPS.items():
        for point in found.select(group=group):
            try:
                _add(point, add)
            except Exception as error:  # noqa: BLE001 - whatever a plug-in does wrong, the program goes on
                broken.append(f"the plug-in {_owner(point)} is left out: {point.name} = {point.value}: {error}")
    return tuple(broken)


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _add(point: EntryPoint, add: Callable[[EntryPoint], None]) -> None:
    from spikecli.settings.outside import Origin, coming_from

    name, version = (point.dist.name, point.dist.version) if point.dist else (point.value, "")
    with coming_from(Origin(name, version)):
        add(point)


def _neuron(point: EntryPoint) -> None:
    """Add a neuron's part by its name alone."""
    from spikecli.settings import choices, outside
    from spikecli.settings.neuron import PARTS

    slot, _, name = point.name.partition(".")
    if slot not in PARTS or not name:
        raise ValueError(f"found {point.name!r}; wanted SLOT.NAME, with a slot of {', '.join(PARTS)}")
    _demand_free(slot, name)
    choices.add(slot, name, f"of {_owner(point)}")
    outside.promise(slot, name, point.load)


def _model(point: EntryPoint) -> None:
    """Add a network's settings; they say in `network` where its builder is."""
    from spikecli.settings import networks, outside

    _demand_free("model", point.name)
    kind: Any = point.load()
    where = getattr(kind, "network", None)
    if not (isinstance(kind, type) and issubclass(kind, networks.ModelConfig)) or not isinstance(where, str):
        raise ValueError('wanted a subclass of ModelConfig with network: ClassVar[str] = "package.module:build"')
    networks.add(point.name, kind, f"of {_owner(point)}")
    outside.promise("model", point.name, EntryPoint(point.name, where, point.group).load)


def _paper(point: EntryPoint) -> None:
    """Add a paper: a neuron, and what it trains with."""
    from spikecli.settings import papers

    _demand_free("paper", point.name)
    paper = point.load()
    if not isinstance(paper, papers.Paper):
        raise ValueError(f"found a {type(paper).__name__}; wanted a Paper of spikecli.settings.papers")
    papers.add(point.name, paper, f"of {_owner(point)}")


# Neurons first: a paper may name a part of the same package.
GROUPS = {"spikecli.neurons": _neuron, "spikecli.models": _model, "spikecli.papers": _paper}


def _demand_free(slot: str, name: str) -> None:
    from spikecli.settings import choices

    if name in choices.names(slot):
        raise ValueError(f"the {slot} {name!r} is there already")


@cache
def _imported(file: Path) -> str:
    """Run a file of parts, once; return what is wrong with it, or nothing."""
    from spikecli.settings.outside import coming_from

    try:
        origin = _origin(file)
    except OSError as error:
        return f"cannot read {file}, which --import names: {error.strerror}; check the path"
    name = f"spikecli_imported_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return f"found {file.name} for --import; wanted a Python file, my_parts.py"
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        with coming_from(origin):
            spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - a user's own file: the line says what stops it
        return f"{file.name}, which --import names, stops: {type(error).__name__}: {error}; mend the file"
    return ""


def _origin(file: Path) -> Origin:
    from spikecli.settings.outside import Origin

    return Origin(file.name, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
