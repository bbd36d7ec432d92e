"""Predictions for a user's files, a few at a time, so that thousands of them do not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikecli.datasets.provenance import facts_at_training
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.samples import files_for, load_samples
from spikecli.datasets.sets import kind_named
from spikecli.errors import SpikeError, named
from spikecli.evaluation.energy import counted
from spikecli.evaluation.evaluate import probabilities
from spikecli.evaluation.rejecting import Rejecting
from spikecli.evaluation.stopping import StopRule, sure_probabilities
from spikecli.models.running import BATCH, GPU_BATCH, step_logits
from spikecli.weights.trained import Trained

_KEPT = 128 << 20  # bytes of inputs that are kept from the first look at all files


@dataclass(frozen=True)
class PredictOptions:
    """Options of a prediction: time steps or a stop rule, seed, folder of data sets, and how to read files."""

    when: int | StopRule
    seed: int = 0
    data_dir: Path = Path("data")
    reading: ReadOptions = AS_FOUND
    energy: bool = False  # counted for each file, which takes a pass of its own
    skip_bad: bool = False
    reject: Rejecting | None = None

    @property
    def longest(self) -> int:
        """The most time steps that a file may take."""
        return self.when if isinstance(self.when, int) else self.when.most


@dataclass(frozen=True)
class FileAnswer:
    """The prediction for one source: probabilities (K,), time steps and energy in µJ, or the reason why it failed."""

    source: str
    probabilities: tuple[float, ...] = ()
    timesteps: int = 0
    energy_uj: float | None = None
    problem: str | None = None
    rejected: bool = False  # no class is probable enough: none of these


def answer_files(trained: Trained, sources: Sequence[str], asked: PredictOptions) -> Iterator[FileAnswer]:
    """Yield an answer for each of `sources`, in order: files, or samples DATASET:SPLIT:INDEX.

    Raise SpikeError for one that cannot be read, unless `skip_bad` is set: then its answer says why.
    """
    size = GPU_BATCH if trained.device.type == "cuda" else BATCH  # as many as `eval` passes at once
    known = {} if asked.skip_bad or len(sources) <= size else _look_first(trained, sources, asked)
    again = replace(asked, reading=replace(asked.reading, on_note=AS_FOUND.on_note)) if known else asked
    for start in range(0, len(sources), size):
        part = sources[start : start + size]
        inputs, problems = [], {}
        for source in part:
            try:
                inputs.append(known.pop(source) if source in known else input_of(trained, source, again))
            except SpikeError as problem:
                if not asked.skip_bad:
                    raise _advised(problem, sources) from None
                problems[source] = str(problem)
        found = iter(_answers(trained, [one for one in part if one not in problems], inputs, asked))
        for source in part:
            yield FileAnswer(source, problem=problems[source]) if source in problems else next(found)


def _look_first(trained: Trained, sources: Sequence[str], asked: PredictOptions) -> dict[str, np.ndarray]:
    """Return the inputs of the first of `sources`, as many as fit; raise SpikeError if any of all cannot be read."""
    known: dict[str, np.ndarray] = {}
    room = _KEPT
    for source in sources:
        try:
            found = input_of(trained, source, asked)
        except SpikeError as problem:
            raise _advised(problem, sources) from None
        room -= found.nbytes
        if room >= 0:
            known[source] = found
    return known


def _advised(problem: SpikeError, sources: Sequence[str]) -> SpikeError:
    """Return an error that names, where there are other files, the option that goes on past a bad one."""
    return problem if len(sources) == 1 else SpikeError(f"{problem}; or go on past such files with {named('skip_bad')}")


def is_sample(source: str) -> bool:
    """Return whether a source has the form DATASET:SPLIT:INDEX and is not an existing file."""
    return source.count(":") == 2 and source.rpartition(":")[2].isdecimal() and not Path(source).exists()


def input_of(trained: Trained, source: str, asked: PredictOptions) -> np.ndarray:
    """Return one source as the network takes it, without the axis of samples: a file, or DATASET:SPLIT:INDEX.

    Raise SpikeError if it cannot be read. A note goes to `asked.reading` if it is far from the training data.
    """
    if not is_sample(source):
        facts = facts_at_training(trained)
        given = [Path(source)]
        found: np.ndarray = files_for(facts, trained.config, given, asked.longest, asked.seed, asked.reading)[0]
        # A user who names the axis that points up has looked at the file.
        doubt = None if asked.reading.up else kind_named(facts.kind).doubt(facts, trained.notes.get("stance"), found)
        if doubt is not None:
            asked.reading.on_note(Path(source), (doubt,))
        return found
    dataset, split, index = source.split(":")
    samples = load_samples(asked.data_dir, dataset, split, trained.config, fixed=True)
    if int(index) >= len(samples.labels):
        raise SpikeError(f"{dataset}:{split} has samples 0 to {len(samples.labels) - 1}, found {source}")
    sample: np.ndarray = samples.inputs(asked.longest, np.array([int(index)]))[0]
    return sample


def _answers(
    trained: Trained, sources: list[str], inputs: list[np.ndarray], asked: PredictOptions
) -> Iterator[FileAnswer]:
    if not inputs:
        return
    whole = np.stack(inputs)
    if isinstance(asked.when, int):
        found, taken = probabilities(trained, whole, asked.when, asked.seed)[-1], [asked.when] * len(whole)
    else:
        found, taken = sure_probabilities(trained, whole, asked.when, asked.seed)
    found = found if asked.reject is None else asked.reject.tempered(found)
    for place, (source, steps) in enumerate(zip(sources, taken, strict=True)):
        energy = _energy_uj(trained, whole[place : place + 1], steps, asked.seed) if asked.energy else None
        shares = tuple(found[place].tolist())
        rejected = asked.reject is not None and asked.reject.rejects(shares)
        yield FileAnswer(source, shares, steps, energy, rejected=rejected)


def _energy_uj(trained: Trained, one: np.ndarray, timesteps: int, seed: int) -> float:
    with counted(trained.network, timesteps) as counts:
        step_logits(
            trained.network, one[:, :timesteps] if one.ndim == 5 else one, timesteps, trained.device, "fp32", seed
        )
    return counts.energy_uj(timesteps)
