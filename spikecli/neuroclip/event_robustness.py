"""Zero-shot scores on damaged recordings; their features are computed each time and not stored."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from spikecli.datasets.events.damage import corrupt_recording
from spikecli.datasets.events.frames import to_frames
from spikecli.evaluation.robustness import CLEAN, Battery, DamageCell
from spikecli.neuroclip.features import FeatureStore, encode_frames
from spikecli.neuroclip.zeroshot import Question, score, spread, text_features, zero_shot_logits
from spikecli.progress import Progress

AT_ONCE = 8  # recordings before the model


def zero_shot_robustness(
    store: FeatureStore,
    question: Question,
    battery: Battery,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = Progress(),
) -> list[DamageCell]:
    """Return a cell for each case of `battery`, from at most `limit` recordings, evenly over the classes.

    Features of clean recordings come from `store`. Raise SpikeError if damage leaves fewer events than slices.
    """
    begin = perf_counter()
    chosen = spread(len(store.split), limit)
    texts, labels = text_features(store.clip, question), torch.from_numpy(store.split.labels[chosen])
    progress.on_phase(f"encoding damaged {store.split.dataset} {store.split.split}", len(battery.cases) * len(chosen))
    cells = []
    for kind, severity in battery.cases:
        if kind == CLEAN:
            features = store.read(chosen)
            progress.on_step(len(chosen))
        else:
            features = _encoded(store, kind, severity, seed, chosen, progress)
        logits = zero_shot_logits(features, texts, store.clip.logit_scale)
        scores = score(logits.cpu(), labels, store.split, perf_counter() - begin)
        steps = store.viewing.timesteps
        cells.append(DamageCell(kind, severity, steps, scores.instance_accuracy, None, scores.class_accuracy))
    return cells


def _encoded(
    store: FeatureStore, kind: str, severity: int, seed: int, chosen: Sequence[int] | np.ndarray, progress: Progress
) -> Tensor:
    """Return the features (n, T, D) of damaged recordings."""
    parts = []
    for start in range(0, len(chosen), AT_ONCE):
        some = [int(index) for index in chosen[start : start + AT_ONCE]]
        damaged = [corrupt_recording(store.split.recording(index), kind, severity, seed, index) for index in some]
        frames = np.stack([to_frames(recording, store.viewing.slices) for recording in damaged])
        parts.append(encode_frames(store.clip, store.viewing, frames))
        progress.on_step(len(some))
    return torch.cat(parts)
