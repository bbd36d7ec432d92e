"""The pictures of a recording for CLIP, and CLIP's predictions step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecli.datasets.events.frames import to_frames, to_images
from spikecli.progress import Progress
from spikecli.view.recordings.take import NamedRecording

if TYPE_CHECKING:
    from spikecli.neuroclip.clip import ClipModel
    from spikecli.neuroclip.features import Viewing
    from spikecli.neuroclip.zeroshot import Question
    from spikecli.view.look import Look


@dataclass(frozen=True)
class ClipView:
    """CLIP's view of a recording: images (T, 3, S, S) in 0…1, and probabilities (T, K).

    `alone` are those of each picture by itself, `so_far` those of all pictures up to it.
    """

    take: NamedRecording
    images: np.ndarray
    alone: np.ndarray
    so_far: np.ndarray
    classnames: tuple[str, ...]
    clip: str


def look_through_clip(look: Look, takes: Sequence[NamedRecording], progress: Progress) -> list[ClipView]:
    """Return the CLIP's view of each recording; raise SpikeError as `open_backbone` and `ask_about` do."""
    from spikecli.neuroclip.backbone import open_backbone

    asked = [_ask(look, source, take) for source, take in zip(look.sources, takes, strict=True)]
    how = look.clip
    model = open_backbone(how.clip, how.weights, look.data_dir, how.device, how.quick_gelu, progress)
    progress.on_phase("looking through CLIP", len(takes))
    sights = []
    for take, (question, viewing) in zip(takes, asked, strict=True):
        sights.append(_see(take, question, viewing, model))
        progress.on_step(1)
    return sights


def _ask(look: Look, source: str, take: NamedRecording) -> tuple[Question, Viewing]:
    """Return the question about a recording, and its viewing, as `zeroshot` does."""
    from spikecli.neuroclip import zeroshot
    from spikecli.neuroclip.features import Viewing

    how = look.clip
    spoken = zeroshot.read_words(how.classes, how.templates)
    question = (
        zeroshot.ask_about(take.dataset, *spoken, look.data_dir)
        if take.dataset
        else zeroshot.ask_of_files([source], *spoken)
    )
    threshold = zeroshot.facts_of_recordings(take.dataset, look.data_dir).threshold if take.dataset else 0
    return question, Viewing(look.timesteps, look.events.slicing, how.image_preset, how.normalization, threshold)


def _see(take: NamedRecording, question: Question, viewing: Viewing, model: ClipModel) -> ClipView:
    from spikecli.neuroclip.features import encode_frames
    from spikecli.neuroclip.zeroshot import text_features, zero_shot_logits

    frames = to_frames(take.recording, viewing.slices)
    features, texts = encode_frames(model, viewing, frames[None]), text_features(model, question)

    def chances(first: int, end: int) -> np.ndarray:
        logits = zero_shot_logits(features[:, first:end], texts, model.logit_scale)
        return logits.mean(dim=0)[0].softmax(dim=0).cpu().numpy()

    steps = range(viewing.timesteps)
    return ClipView(
        take,
        to_images(frames, viewing.preset, model.size, viewing.threshold).numpy(),
        np.stack([chances(step, step + 1) for step in steps]),
        np.stack([chances(0, step + 1) for step in steps]),
        question.classnames,
        f"{model.name} ({model.weights}), {model.size} × {model.size} pixels",
    )


def predictions_of(sight: ClipView) -> list[dict[str, Any]]:
    """Return the best class after each step, and that of the step alone."""
    names = sight.classnames
    return [
        {
            "timesteps": step + 1,
            "class": names[int(so_far.argmax())],
            "probability": float(so_far.max()),
            "class_alone": names[int(alone.argmax())],
            "probability_alone": float(alone.max()),
        }
        for step, (so_far, alone) in enumerate(zip(sight.so_far, sight.alone, strict=True))
    ]
