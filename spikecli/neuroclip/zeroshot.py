"""Zero-shot: classify event recordings by the class names alone (NeuroCLIP, arXiv 2306.12073)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spikecli.datasets.events.facts import EventFacts
from spikecli.datasets.events.split import EventSplit, load_events
from spikecli.datasets.facts import PHOTO
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.datasets.sets import ensure_prepared, find_facts, known_names
from spikecli.errors import SpikeError, named
from spikecli.evaluation.metrics import class_accuracy, cumulative_predictions, instance_accuracy
from spikecli.files.gate import read_lines
from spikecli.models.adapter import growing_logits
from spikecli.neuroclip.clip import ClipModel, demand_clip
from spikecli.neuroclip.features import FeatureStore, Viewing, encode_file
from spikecli.progress import Progress

# For recordings of which nothing is known: the paper's prompt for things of all kinds.
FILE_TEMPLATES = (PHOTO,)
DATA_DIR = Path("data")  # the default


@dataclass(frozen=True)
class Question:
    """The classes to choose from, and the templates of sentences for their names."""

    classnames: tuple[str, ...]
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        names = self.classnames
        if len(names) < 2 or len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise SpikeError(f"found classes {', '.join(names) or 'none'}; wanted two or more different names")
        if not self.templates:
            raise SpikeError("found no template; wanted at least one line with {} where the class name goes")
        for template in self.templates:
            if "{}" not in template:
                raise SpikeError(f"found the template {template!r}; wanted {{}} in it, where the class name goes")


@dataclass(frozen=True)
class Scores:
    """Accuracy on a split's recordings, in 0…1; `steps[t]` is that after t + 1 steps."""

    dataset: str
    split: str
    samples: int
    instance_accuracy: float
    top5_accuracy: float
    class_accuracy: float
    steps: tuple[float, ...]
    seconds: float


def read_classes(text: str) -> tuple[str, ...]:
    """Return the class names in a comma-separated list, or in a file that holds one a line.

    Raise SpikeError if there is no such file and the list has a single name.
    """
    path = Path(text)
    if "," not in text and path.is_file():
        return _lines(path)
    if "," not in text:
        raise SpikeError(f"found no file {text!r} and only one class name; wanted a,b,c or a file of one name a line")
    return tuple(name.strip() for name in text.split(","))


def read_words(classes: str | None, templates: Path | None) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the user's class names and templates, each None if not given."""
    return (read_classes(classes) if classes else None), (_lines(templates) if templates else None)


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(read_lines(path, "give a text file of one entry a line"))


def facts_of_recordings(dataset: str, data_dir: Path = DATA_DIR) -> EventFacts:
    """Return the facts of a data set of recordings; raise SpikeError if there is none of that name."""
    names = known_names(data_dir)
    facts = find_facts(dataset, data_dir) if dataset in names else None
    if not isinstance(facts, EventFacts):
        known = ", ".join(name for name in names if find_facts(name, data_dir).kind == EventFacts.kind)
        raise SpikeError(f"found no data set {dataset!r} of recordings; wanted one of {known}")
    return facts


def ask_about(
    dataset: str, classnames: Sequence[str] | None, templates: Sequence[str] | None, data_dir: Path = DATA_DIR
) -> Question:
    """Return the question about a data set, by default with its own class names and templates.

    Raise SpikeError if the number of names differs from its number of classes.
    """
    facts = facts_of_recordings(dataset, data_dir)
    if classnames is not None and len(classnames) != len(facts.classnames):
        raise SpikeError(
            f"found {len(classnames)} class names for {dataset}; wanted {len(facts.classnames)}, in the order of "
            f"{', '.join(facts.classnames[:3])}, …; correct {named('classes')}"
        )
    return Question(tuple(classnames or facts.classnames), tuple(templates or facts.templates))


def ask_of_files(
    sources: Sequence[str], classnames: Sequence[str] | None, templates: Sequence[str] | None, lost: bool = False
) -> Question:
    """Return the question about files; raise SpikeError without class names or, unless `lost`, if one is missing."""
    for source in sources:
        if not lost and not Path(source).is_file():
            raise SpikeError(
                f"found neither a file nor a data set {source!r}; `spikecli data list` names the data sets"
            )
    if classnames is None:
        raise SpikeError(
            f"found no class names for {sources[0]}; wanted some to choose from; add {named('classes')} a,b,c"
        )
    return Question(tuple(classnames), tuple(templates or FILE_TEMPLATES))


def text_features(clip: ClipModel, question: Question) -> Tensor:
    """Return text features g (K, D), of length 1: for each class the mean over its sentences, one a template."""
    sentences = [template.replace("{}", name) for name in question.classnames for template in question.templates]
    features = clip.encode_texts(sentences).unflatten(0, (len(question.classnames), len(question.templates)))
    return functional.normalize(features.mean(dim=1), dim=-1)


def zero_shot_logits(features: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Return logits (T, B, K) of features (B, T, D) as CLIP gives them: each step is first brought to length 1."""
    return growing_logits(functional.normalize(features, dim=-1).transpose(0, 1), texts, scale)


def score(logits: Tensor, labels: Tensor, split: EventSplit, seconds: float) -> Scores:
    """Return the scores of logits (T, B, K) of recordings of a split against their labels (B,)."""
    firming = cumulative_predictions(logits)
    best = logits.mean(dim=0).topk(min(5, logits.shape[2]), dim=1).indices
    return Scores(
        dataset=split.dataset,
        split=split.split,
        samples=len(labels),
        instance_accuracy=instance_accuracy(firming[-1], labels),
        top5_accuracy=(best == labels[:, None]).any(dim=1).double().mean().item(),
        class_accuracy=class_accuracy(firming[-1], labels),
        steps=tuple(instance_accuracy(step, labels) for step in firming),
        seconds=seconds,
    )


def spread(samples: int, limit: int | None) -> np.ndarray:
    """Return at most `limit` indices in 0 … samples − 1, evenly spread, since recordings are sorted by class."""
    if limit is None or limit >= samples:
        return np.arange(samples)
    return np.arange(limit) * samples // limit


def open_split(data_dir: Path, dataset: str, split: str, progress: Progress = Progress()) -> EventSplit:
    """Return a prepared split; the built-in `digits` is prepared if needed.

    Raise SpikeError, before that, if packages that CLIP needs are not installed.
    """
    demand_clip()
    ensure_prepared(facts_of_recordings(dataset, data_dir), data_dir, progress)
    return load_events(data_dir, dataset, split)


def classify_split(
    store: FeatureStore, question: Question, limit: int | None = None, progress: Progress = Progress()
) -> Scores:
    """Return the zero-shot scores of a split; its labels are used only for the scores."""
    begin = perf_counter()
    chosen = spread(len(store.split), limit)
    texts = text_features(store.clip, question)
    if missing := store.missing(chosen):
        progress.on_phase(f"encoding {store.split.dataset} {store.split.split}", missing)
    logits = zero_shot_logits(store.read(chosen, progress.on_step), texts, store.clip.logit_scale)
    labels = torch.from_numpy(store.split.labels[chosen])
    return score(logits.cpu(), labels, store.split, perf_counter() - begin)


def summary(clip: ClipModel, viewing: Viewing, question: Question, scores: Scores, per_step: bool) -> dict[str, Any]:
    """Return a split's scores as `spikecli zeroshot --json` prints them."""
    steps = {"step_accuracies": list(scores.steps)} if per_step else {}
    return {
        "dataset": scores.dataset,
        "split": scores.split,
        "samples": scores.samples,
        "clip": clip.name,
        "weights": clip.weights,
        "timesteps": viewing.timesteps,
        "templates": list(question.templates),
        "image_preset": viewing.preset,
        "slicing": viewing.slicing,
        "normalization": viewing.normalization,
        "instance_accuracy": scores.instance_accuracy,
        "top5_accuracy": scores.top5_accuracy,
        "class_accuracy": scores.class_accuracy,
        **steps,
        "seconds": scores.seconds,
    }


def classify_files(
    clip: ClipModel, viewing: Viewing, question: Question, paths: Sequence[Path], reading: ReadOptions = AS_FOUND
) -> Iterator[tuple[Path, list[float]]]:
    """Yield each recording's path and the probabilities (K,) of the classes."""
    texts = text_features(clip, question)
    for path in paths:
        logits = zero_shot_logits(encode_file(clip, viewing, path, reading), texts, clip.logit_scale)
        yield path, logits.mean(dim=0)[0].softmax(dim=0).tolist()
