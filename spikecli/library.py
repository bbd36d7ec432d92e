"""The library behind `import spikecli`, built on the same functions as the command line.

import spikecli

network = spikecli.load("reference")
print(network.predict("chair.off").label)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikecli.datasets.clouds.geometry import Cloud, points_as_given
from spikecli.datasets.events.recording import Recording
from spikecli.datasets.events.samples import Framing
from spikecli.datasets.own.prepare import prepare_any
from spikecli.datasets.prepare_options import PrepareOptions
from spikecli.datasets.provenance import facts_at_training
from spikecli.datasets.samples import files_for
from spikecli.errors import SpikeError
from spikecli.evaluation.evaluate import StepRow, probabilities, samples_for
from spikecli.evaluation.evaluate import evaluate as rows_of
from spikecli.evaluation.how import How
from spikecli.evaluation.stopping import StopRule, distinct_steps, runs_of, sure_probabilities
from spikecli.files.extras import saying_extras
from spikecli.settings.config import TrainConfig
from spikecli.settings.networks import point_inputs
from spikecli.settings.neuron import NeuronConfig
from spikecli.training import train as training
from spikecli.training.runs import Epoch
from spikecli.training.settings import settings_of
from spikecli.weights.reference import NAME
from spikecli.weights.trained import Trained

if TYPE_CHECKING:
    from spikecli.export.wanted import Exported

__all__ = ["Answer", "Model", "SpikeError", "evaluate", "load", "predict", "prepare", "settings", "train"]

Source = str | Path | np.ndarray | Recording
Steps = int | Literal["auto"]


@dataclass(frozen=True)
class Answer:
    """The prediction for one sample: each class's probability in 0…1, and the time steps taken."""

    probabilities: dict[str, float]
    timesteps: int

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def probability(self) -> float:
        """The probability of that class."""
        return max(self.probabilities.values())


@dataclass(frozen=True, eq=False)
class Model(Trained):
    """A trained network for predictions: `network`, `config`, `classnames`, `path`, `name`, `device`."""

    def predict(
        self, source: Source, timesteps: Steps = 4, *, seed: int = 0, confidence: float = 0.9, most: int = 8
    ) -> Answer:
        """Return the classes' probabilities of one file, cloud or recording; see `predict_all`."""
        return self.predict_all([source], timesteps, seed=seed, confidence=confidence, most=most)[0]

    @saying_extras()
    def predict_all(
        self, sources: Sequence[Source], timesteps: Steps = 4, *, seed: int = 0, confidence: float = 0.9, most: int = 8
    ) -> list[Answer]:
        """Return the classes' probabilities of files, of points (N, 3), or of recordings, an answer each.

        With timesteps "auto" each stops at the first step at which a class has the probability `confidence`, or after
        `most`. Raise SpikeError if a source cannot be read or is not of the kind that the network was trained on.
        """
        longest = most if timesteps == "auto" else _at_least_one(timesteps)
        inputs = np.stack([_inputs(self, source, longest, seed) for source in sources])
        if timesteps == "auto":
            found, taken = sure_probabilities(self, inputs, StopRule(confidence, most), seed)
        else:
            found, taken = probabilities(self, inputs, longest, seed)[-1], [longest] * len(inputs)
        return [
            Answer(dict(zip(self.classnames, row, strict=True)), steps)
            for row, steps in zip(found.tolist(), taken, strict=True)
        ]

    @saying_extras()
    def inputs(self, source: Source, timesteps: int = 4, *, seed: int = 0) -> np.ndarray:
        """Return what the network is given of a source: points (N, 3 or 6), frames (T, 2, H, W), or pixels (3, H, W).

        A file of `export` that leaves preprocessing out takes it with a batch axis in front; frames as float32. Raise
        SpikeError as `predict_all`.
        """
        return _inputs(self, source, _at_least_one(timesteps), seed)

    @saying_extras()
    def export(
        self, path: str | Path, timesteps: int = 4, *, samples: Sequence[str | Path] = (), **form: Any
    ) -> Exported:
        """Write the network to `path`, .onnx, .nir or .pt2, after another program gave its answers on `samples`.

        `form` holds `raw`, `step` and `noise`, as `spikecli export`, and `data_dir` and `seed`. Raise SpikeError, with
        nothing written, if the format cannot say the network or the answers differ.
        """
        from spikecli.export import formats, subject

        wanted = formats.Wanted(_at_least_one(timesteps), files=tuple(map(Path, samples)), **form)
        return formats.export(subject.of(self), wanted, Path(path))


@saying_extras()
def load(given: str | Path | None = NAME, device: str = "auto") -> Model:
    """Return the network of a weights file, a run folder, "reference", or (None) the newest run in checkpoints.

    Raise SpikeError if it is missing or damaged, or if the device cannot be used.
    """
    return Model.open(given, device)


@saying_extras()
def predict(source: Source, network: Trained | str | Path = NAME, timesteps: Steps = 4, seed: int = 0) -> Answer:
    """Return a network's prediction, by default with the reference weights, for a file, cloud (N, 3) or recording."""
    return _opened(network).predict(source, timesteps, seed=seed)


def settings(dataset: str = "shapes", *, data_dir: str | Path = "data", **changes: Any) -> TrainConfig:
    """Return the settings of a run on a data set, with the defaults of `spikecli train`.

    `changes` are fields of the settings by name: of training (`epochs=30`), of the neuron (`fire="ternary"`), of the
    network (`width=0.5`), and `model`, `paper`, `recipe` and `fidelity` ("released": as the authors' code). Raise
    SpikeError if one is invalid.
    """
    paper, recipe, fidelity = (changes.pop(name, None) for name in ("paper", "recipe", "fidelity"))
    parts: dict[str, Any] = {}
    fields: dict[str, Any] = {"augment": None}
    network: dict[str, Any] = {"name": changes.pop("model", None), "batch_norm": None}
    for name, value in changes.items():
        group = parts if name in NeuronConfig.model_fields else fields if name in TrainConfig.model_fields else network
        group[name] = value
    given = (fields, parts, network)
    return settings_of(dataset, paper, recipe, *given, data_dir=Path(data_dir), fidelity=fidelity or "default")


@saying_extras()
def prepare(
    dataset: str = "shapes",
    data_dir: str | Path = "data",
    source: str | Path | None = None,
    points: int | None = None,
    normals: bool = False,
) -> dict[str, Any]:
    """Prepare a data set and return its record, with `samples` a split; prepared data are reused.

    `source` is a folder or archive, None for what is built in or fetched; `points` are those of a cloud, each with its
    normal if `normals` is set. A name that is not built in is a data set of your own: a folder for each class, or a
    list. Raise SpikeError if the source, a class or a file is wrong.
    """
    options = PrepareOptions(None if source is None else Path(source), points, normals=normals)
    return prepare_any(Path(data_dir), dataset, options)


@saying_extras()
def train(
    dataset: str = "shapes",
    *,
    out: str | Path | None = None,
    resume: bool = False,
    data_dir: str | Path = "data",
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    **changes: Any,
) -> Model:
    """Train a network in the folder `out` (None: a new one in checkpoints) and return it; `changes` as `settings`.

    `on_epoch` is called after each epoch. Raise SpikeError if the data set is not prepared, or if `out` holds a run
    and `resume` is not given.
    """
    config = settings(dataset, data_dir=data_dir, **changes)
    folder = None if out is None else Path(out)
    with training.opened(config, Path(data_dir), folder, resume, device) as trainer:
        for epoch in trainer.epochs(lambda *progress: None):
            on_epoch(epoch)
    return Model.open(trainer.run.folder, device)


@saying_extras()
def evaluate(
    network: Trained | str | Path,
    dataset: str | None = None,
    timesteps: Sequence[int] = (1, 2, 3, 4),
    *,
    split: str = "test",
    runs: int = 3,
    seed: int = 0,
    precision: str = "fp32",
    data_dir: str | Path = "data",
) -> list[StepRow]:
    """Return a row of scores for each number of time steps, as `spikecli eval` shows them.

    Accuracies are means over `runs` seeds of the perturbation, where one is drawn. Raise SpikeError if the split is not
    prepared, or if the data set is of another kind or has other classes than the network.
    """
    model = _opened(network)
    steps = sorted({_at_least_one(step) for step in timesteps})
    samples = samples_for(model, Path(data_dir), dataset, split)
    how = How(runs_of(model.network, runs), seed, model.device, precision)
    return rows_of(model.network, samples, distinct_steps(model.network, steps), how)


def _opened(network: Trained | str | Path) -> Model:
    if isinstance(network, Model):
        return network
    return Model(**vars(network)) if isinstance(network, Trained) else load(network)


def _at_least_one(timesteps: int) -> int:
    if timesteps < 1:
        raise SpikeError(f"found timesteps {timesteps}; a network needs at least 1 time step")
    return timesteps


def _inputs(trained: Trained, source: Source, timesteps: int, seed: int) -> np.ndarray:
    """Return one source as network input; raise SpikeError if it is of another kind."""
    config, facts = trained.config, facts_at_training(trained)
    kind = facts.kind
    if isinstance(source, str | Path):
        return files_for(facts, config, [Path(source)], timesteps, seed)[0]
    if isinstance(source, Recording) and kind == "events":
        return Framing.of_config(config).of_recording(source, timesteps)
    if isinstance(source, np.ndarray) and kind == "points" and source.ndim == 2 and source.shape[1] in (3, 6):
        cloud = Cloud(source.astype(np.float32))
        normals = point_inputs(config.model) > 3
        return points_as_given(cloud, config.points, "uniform", np.random.default_rng(seed), normals)
    found = f"an array {source.shape}" if isinstance(source, np.ndarray) else f"a {type(source).__name__}"
    wanted = {"points": "points (N, 3)", "events": "a Recording"}.get(kind, "a picture's file")
    raise SpikeError(f"found {found} for a network that was trained on {kind}; wanted a file, or {wanted}")
