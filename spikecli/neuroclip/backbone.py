"""Provide the CLIP of a command: train it, download it, or read it from disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from spikecli.datasets.events.digits import CLIP_IMAGES, RECORDED, digit_pictures
from spikecli.errors import SpikeError
from spikecli.files.download import Fetching, fetch_first
from spikecli.files.remote import Remote
from spikecli.machine.device import choose_device
from spikecli.models.clip import ClipModel, find_weights, load_clip
from spikecli.models.clip_weights import Source
from spikecli.models.mini import Pictures, Recipe, ensure_mini, picture_accuracy
from spikecli.progress import Watch


@dataclass(frozen=True)
class Telling(Watch):
    """Callbacks for progress: a phase with its number of steps, each step, and notes of one line."""

    on_note: Callable[[str], None] = lambda text: None


def open_backbone(
    clip: str | None,
    weights: str | None,
    data_dir: Path,
    device: str = "auto",
    quick_gelu: bool | None = None,
    telling: Telling = Telling(),
    recipe: Recipe = Recipe(),
) -> ClipModel:
    """Return the CLIP of `clip` and `weights`, by default `mini`; raise SpikeError if it is not available.

    `mini` is trained on first use, weights with a tag are fetched on first use, into DATA_DIR/clip.
    """
    where = choose_device(device)
    if weights is None and clip in (None, "mini"):
        return _mini(data_dir, where, recipe, telling)
    source = find_weights(clip, weights, data_dir)
    if not source.path.is_file() and source.urls:
        source = _fetched(source, telling)
    return load_clip(source, where, quick_gelu)


def _mini(data_dir: Path, device: torch.device, recipe: Recipe, telling: Telling) -> ClipModel:
    told = 0

    def on_step(step: int, total: int) -> None:
        nonlocal told
        if told == 0:
            telling.on_phase("training mini", total)
        telling.on_step(step - told)
        told = step

    source, trained = ensure_mini(data_dir, _pictures(CLIP_IMAGES), recipe, on_step)
    clip = load_clip(source, device)
    if trained:
        held_out = _pictures(RECORDED)
        accuracy = picture_accuracy(clip, held_out)
        telling.on_note(f"mini: {accuracy:.1%} of {len(held_out.labels)} pictures of digits that it never saw")
    return clip


def _pictures(part: slice) -> Pictures:
    images, labels = digit_pictures(part)
    return Pictures(torch.from_numpy(images), torch.from_numpy(labels))


def _fetched(source: Source, telling: Telling) -> Source:
    remotes = [Remote(f"{source.model}-{source.label}{Path(url).suffix}", (url,)) for url in source.urls]
    fetching = Fetching(attempts=2, on_phase=telling.on_phase, on_step=telling.on_step)
    try:
        return replace(source, path=fetch_first(remotes, source.path.parent, fetching))
    except SpikeError as error:
        reason = "no network" if "resolution" in str(error) or "not known" in str(error) else str(error)
        raise source.missing(reason) from error
