"""CLIP's features of event recordings, one picture for each time step; stored, so none is computed twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spikecli.datasets.events.frames import PRESETS, SLICINGS, Slicing, to_frames, to_images
from spikecli.datasets.events.recording import Recording, read_own
from spikecli.datasets.events.split import EventSplit, split_frames
from spikecli.datasets.reading_options import AS_FOUND, ReadOptions
from spikecli.errors import SpikeError, named
from spikecli.files.atomic import make_folder, sole_writer, write_text
from spikecli.files.gate import read_json
from spikecli.files.hdf5 import atomic_hdf5, stored
from spikecli.neuroclip.clip import NORMALIZATIONS, ClipModel
from spikecli.weights.adapted import Encoder, Viewed

_FORMAT = 1
_PART = 64  # recordings in a file: what an interruption can lose
_AT_ONCE = 8  # recordings before the model


@dataclass(frozen=True)
class Viewing:
    """Settings that turn a recording into T pictures."""

    timesteps: int = 10
    slicing: str = "count"
    preset: str = "gray"
    normalization: str = "clip"
    threshold: int = 0  # m of the gray image

    def __post_init__(self) -> None:
        for what, value, known in (
            ("slicing", self.slicing, SLICINGS),
            ("image preset", self.preset, PRESETS),
            ("normalization", self.normalization, NORMALIZATIONS),
        ):
            if value not in known:
                raise SpikeError(f"found {what} {value!r}; wanted one of {', '.join(known)}")

    @property
    def slices(self) -> Slicing:
        return SLICINGS[self.slicing](self.timesteps)


@dataclass(frozen=True)
class Twist:
    """One random rotation and shear of each recording and, if a mirrored recording keeps its class, a flip."""

    number: int  # which draw this is
    seed: int
    flip: bool
    degrees: float = 10.0
    shear: float = 5.0  # degrees

    def __call__(self, images: Tensor, indices: Sequence[int], ground: float) -> Tensor:
        """Return images (S, T, 3, H, W) of the recordings at `indices`, all steps of one twisted alike."""
        matrices = torch.stack([self._matrix(int(index)) for index in indices])
        grid = functional.affine_grid(matrices, [len(images), 1, *images.shape[-2:]], align_corners=False)
        flat = images.flatten(1, 2) - ground
        return (functional.grid_sample(flat, grid, align_corners=False) + ground).reshape(images.shape)

    def _matrix(self, index: int) -> Tensor:
        draws = np.random.default_rng([self.seed, self.number, index]).uniform(-1, 1, 3)
        turn, shear = np.deg2rad(draws[0] * self.degrees), np.tan(np.deg2rad(draws[1] * self.shear))
        side = -1.0 if self.flip and draws[2] < 0 else 1.0
        cos, sin = np.cos(turn), np.sin(turn)
        return torch.tensor([[side * cos, side * (cos * shear - sin), 0], [sin, sin * shear + cos, 0]]).float()


def encode_frames(
    clip: Encoder, viewing: Viewed, frames: np.ndarray, twist: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Return the features (S, T, D), as CLIP gives them, of frames (S, T, 2, H, W)."""
    images = to_images(frames, viewing.preset, clip.size, viewing.threshold)
    if twist is not None:
        images = twist(images)
    return clip.encode_images(images.flatten(0, 1), viewing.normalization).unflatten(0, frames.shape[:2])


def encode_file(clip: Encoder, viewing: Viewed, path: Path, reading: ReadOptions = AS_FOUND) -> Tensor:
    """Return the features (1, T, D) of the recording in `path`; raise SpikeError if it cannot be read or sliced."""
    recording = _read(path, viewing.timesteps, reading)
    return encode_frames(clip, viewing, to_frames(recording, viewing.slices)[None])


def _read(path: Path, timesteps: int, reading: ReadOptions) -> Recording:
    recording = read_own(path, reading)
    if len(recording) < timesteps:
        raise SpikeError(
            f"{path} holds {len(recording)} events; wanted at least one for each of {timesteps} time steps; "
            f"lower {named('timesteps')}"
        )
    return recording


def readable(
    paths: Sequence[Path], timesteps: int, reading: ReadOptions, skip_bad: bool
) -> tuple[list[Path], list[tuple[str, str]]]:
    """Return those of `paths` that hold recordings of so many events at least, and the others, each with the reason.

    Raise SpikeError for the first of the others unless `skip_bad`. Ask before a model is made or loaded, which takes
    minutes.
    """
    good, bad, silent = [], [], replace(reading, on_note=AS_FOUND.on_note)
    for path in paths:
        try:
            _read(path, timesteps, silent)
            good.append(path)
        except SpikeError as problem:
            if not skip_bad:
                raise
            bad.append((str(path), str(problem)))
    return good, bad


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """The features of one split from one CLIP with one viewing, in DATA_DIR/features; computed at first use."""

    data_dir: Path
    split: EventSplit
    clip: ClipModel
    viewing: Viewing
    twist: Twist | None = None

    @property
    def settings(self) -> dict[str, object]:
        """All settings that the features depend on."""
        return {
            "format": _FORMAT,
            "data": self.split.fingerprint,
            "clip": self.clip.identity,
            "size": self.clip.size,
            "mean": list(self.clip.mean),
            "std": list(self.clip.std),
            "viewing": asdict(self.viewing),
            "twist": None if self.twist is None else asdict(self.twist),
        }

    @property
    def folder(self) -> Path:
        key = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]
        return (
            self.data_dir
            / "features"
            / f"{self.split.dataset}-{self.split.split}-{self.clip.name}-{key}".replace("/", "-")
        )

    def read(self, indices: Sequence[int] | np.ndarray, on_step: Callable[[int], None] = lambda steps: None) -> Tensor:
        """Return the features (n, T, D) of the recordings at `indices`; `on_step` gets the number just done.

        Raise SpikeError if the stored file is damaged or has other settings, or if a recording cannot be sliced.
        """
        wanted = np.asarray(indices, np.int64)
        kept = self._kept()
        if not set(wanted.tolist()) <= set(kept):
            with sole_writer(self.folder, "encoding recordings", wait=True):
                kept = self._kept()  # another process may have been at it
                self._encode(sorted(set(wanted.tolist()) - set(kept)), on_step)
                kept = self._kept()
        return torch.from_numpy(np.stack([kept[index] for index in wanted.tolist()])).to(self.clip.device)

    def missing(self, indices: Sequence[int] | np.ndarray) -> int:
        """Return how many of the recordings at `indices` are not encoded yet."""
        return len(set(np.asarray(indices).tolist()) - set(self._kept()))

    def _encode(self, missing: list[int], on_step: Callable[[int], None]) -> None:
        for start in range(0, len(missing), _PART):
            part = missing[start : start + _PART]
            features = []
            for first in range(0, len(part), _AT_ONCE):
                some = part[first : first + _AT_ONCE]
                frames = split_frames(self.split, self.viewing.slices, some)
                features.append(encode_frames(self.clip, self.viewing, frames, self._twister(some)).cpu())
                on_step(len(some))
            self._write(part, torch.cat(features).numpy())

    def _twister(self, indices: list[int]) -> Callable[[Tensor], Tensor] | None:
        twist, ground = self.twist, PRESETS[self.viewing.preset].ground
        return None if twist is None else lambda images: twist(images, indices, ground)

    def _write(self, indices: list[int], features: np.ndarray) -> None:
        mark = self.folder / "settings.json"
        if not mark.exists():
            write_text(mark, json.dumps(self.settings, sort_keys=True, indent=2) + "\n")
        # No recording is in two files, so the first one names its file.
        with atomic_hdf5(self.folder / f"{indices[0]:08d}.h5") as file:
            file.create_dataset("indices", data=np.asarray(indices, np.int64))
            file.create_dataset("features", data=features)

    def _kept(self) -> dict[int, np.ndarray]:
        """Return the stored features (T, D) by recording; raise SpikeError if they have other settings."""
        folder = make_folder(self.folder)
        paths = sorted(folder.glob("[0-9]*.h5"))
        if paths:
            self._check_mark(folder / "settings.json")
        kept: dict[int, np.ndarray] = {}
        shape = (self.viewing.timesteps, self.clip.dim)
        for path in paths:
            with stored(path, "remove it and run again") as file:
                indices = file.array("indices", "i", None)
                features = file.array("features", "f", len(indices), *shape)
                if not np.isfinite(features).all():
                    raise ValueError("features that are not finite")
            kept.update(zip(indices.tolist(), features, strict=True))
        return kept

    def _check_mark(self, mark: Path) -> None:
        found = read_json(mark, dict, f"remove the folder {mark.parent} and run again")
        differing = [name for name, value in self.settings.items() if found.get(name) != value]
        if differing:
            raise SpikeError(
                f"{mark.parent} holds features of other settings ({', '.join(differing)}); remove it and run again"
            )
