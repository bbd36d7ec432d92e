"""Provide the CLIP of a command: train it, download it, or read it from disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from spikecli.datasets.events.digits import CLIP_IMAGES, RECORDED, digit_pictures
from spikecli.errors import SpikeError
from spikecli.files.download import Fetching, fetch_first
from spikecli.files.remote import Remote
from spikecli.machine.device import choose_device
from spikecli.neuroclip.clip import ClipModel, demand_clip, find_weights, load_clip
from spikecli.neuroclip.clip_weights import Source
from spikecli.neuroclip.mini import DigitPictures, MiniRecipe, ensure_mini, mini_source, picture_accuracy, shipped_mini
from spikecli.progress import Progress


def open_backbone(
    clip: str | None,
    weights: str | None,
    data_dir: Path,
    device: str = "auto",
    quick_gelu: bool | None = None,
    progress: Progress = Progress(),
    recipe: MiniRecipe | None = None,
    identity: str | None = None,
) -> ClipModel:
    """Return the CLIP of `clip` and `weights`, by default `mini`; raise SpikeError if it is not available.

    `mini` comes with the program; with a `recipe` it is trained in DATA_DIR/clip, where weights with a tag are fetched
    to. `identity` is that of the CLIP that is wanted, if known: a `mini` that was trained here before may have it.
    """
    demand_clip()
    where = choose_device(device)
    if weights is None and clip in (None, "mini"):
        return _mini(data_dir, where, recipe, progress, identity)
    source = find_weights(clip, weights, data_dir)
    if not source.path.is_file() and source.urls:
        source = _fetched(source, progress)
    return load_clip(source, where, quick_gelu)


def _mini(
    data_dir: Path, device: torch.device, recipe: MiniRecipe | None, progress: Progress, identity: str | None
) -> ClipModel:
    ships = shipped_mini() if recipe is None else None
    if ships is None:
        return train_here(data_dir, device, recipe or MiniRecipe(), progress)
    clip = load_clip(ships, device)
    before = mini_source(data_dir, _pictures(CLIP_IMAGES), MiniRecipe())
    if identity not in (None, clip.identity) and before.path.is_file():
        return load_clip(before, device)
    return clip


def train_here(data_dir: Path, device: torch.device, recipe: MiniRecipe, progress: Progress) -> ClipModel:
    """Return `mini` as trained by `recipe` in DATA_DIR/clip, where a stopped training goes on."""
    demand_clip()
    told = 0

    def on_step(step: int, total: int) -> None:
        nonlocal told
        if told == 0:
            progress.on_phase("training mini", total)
        progress.on_step(step - told)
        told = step

    source, trained = ensure_mini(data_dir, _pictures(CLIP_IMAGES), recipe, on_step)
    clip = load_clip(source, device)
    if trained:
        held_out = _pictures(RECORDED)
        accuracy = picture_accuracy(clip, held_out)
        progress.on_note(f"mini: {accuracy:.1%} of {len(held_out.labels)} pictures of digits that it never saw")
    return clip


def _pictures(part: slice) -> DigitPictures:
    images, labels = digit_pictures(part)
    return DigitPictures(torch.from_numpy(images), torch.from_numpy(labels))


def _fetched(source: Source, progress: Progress) -> Source:
    remotes = [Remote(f"{source.model}-{source.label}{Path(url).suffix}", (url,)) for url in source.urls]
    fetching = Fetching(attempts=2, on_phase=progress.on_phase, on_step=progress.on_step)
    try:
        return replace(source, path=fetch_first(remotes, source.path.parent, fetching))
    except SpikeError as error:
        reason = "no network" if "resolution" in str(error) or "not known" in str(error) else str(error)
        raise source.missing(reason) from error
