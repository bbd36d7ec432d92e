"""Training data of `mini`: augmented pictures of digits and captions for them; no events."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ARTICLES = ("a", "the", "one", "A")
_KINDS = (
    "", "", "black and white", "gray", "blurry", "bright", "dark", "low quality", "noisy", "rotated", "small", "large",
    "thin", "bold", "handwritten",
)  # fmt: skip
_PICTURES = ("photo", "photo", "image", "picture", "drawing", "scan", "sketch", "outline", "point cloud image")
_NOUNS = (
    "number", "digit", "numeral", "Arabic numeral", "Arabic numeral number:", "handwritten digit", "figure", "number:",
    "object", "",
)  # fmt: skip
_FRAMES = (
    "{article} {kind} {picture} of the {noun} {name}",
    "{article} {kind} {picture} of a {noun} {name}",
    "{article} {kind} {picture} of {name}",
    "{article} {kind} {noun} {name}",
    "{noun} {name}",
    "{name}",
)


@dataclass(frozen=True)
class Variation:
    """Ranges of shifts, rotations and recoloring of pictures; each is scaled by the strength, 0 … 1."""

    turn: float = 0.25  # radians, either way
    lean: float = 0.25  # shear, either way
    shift: float = 0.3  # half pictures, either way
    stretch: float = 0.17  # width against height
    zoom: tuple[float, float] = (0.65, 1.6)  # of the field of view
    outlined: float = 0.4  # share of pictures of which the edges alone are drawn
    specks: float = 0.03  # share of spots that are black or white
    grain: float = 0.1  # deviation of the noise

    def __call__(self, pictures: Tensor, size: int, strength: float, generator: torch.Generator) -> Tensor:
        """Return pictures (B, 1, size, size) in 0 … 1 of digits (B, h, w), white on black, in 0 … 1."""
        dice = _dice(len(pictures), generator)
        x = self._placed(_enlarged(pictures, 2), size, strength, dice)
        # Levels: strokes grow thin or thick, their edges soft or hard.
        hardness = torch.exp(dice(math.log(3), math.log(25)))
        x = torch.sigmoid(hardness * (x - dice(0.2, 0.65)))
        edges = (_edges(x) * dice(1, 4)).clamp_max(1)
        x = torch.where(dice(0, 1) < self.outlined * strength, edges, x)
        x = _recolored(x, strength, dice)
        blurred = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return self._soiled(torch.where(dice(0, 1) < 0.5, blurred, x), strength, dice, generator).clamp(0, 1)

    def _placed(self, x: Tensor, size: int, strength: float, dice: Callable[[float, float], Tensor]) -> Tensor:
        """Return x (B, 1, h, w) rotated, sheared, zoomed and shifted, (B, 1, size, size)."""

        def about(middle: float, low: float, high: float) -> Tensor:
            return middle + strength * (dice(low, high) - middle).reshape(-1)

        turn, lean = about(0, -self.turn, self.turn), about(0, -self.lean, self.lean)
        zoom, stretch = about(1, *self.zoom), about(1, 1 - self.stretch, 1 + self.stretch)
        cos, sin = turn.cos() * zoom, turn.sin() * zoom
        right, down = about(0, -self.shift, self.shift), about(0, -self.shift, self.shift)
        rows = [
            torch.stack([cos * stretch, lean * zoom - sin, right], dim=1),
            torch.stack([sin * stretch, cos, down], dim=1),
        ]
        grid = functional.affine_grid(torch.stack(rows, dim=1), [len(x), 1, size, size], align_corners=False)
        return functional.grid_sample(x, grid, align_corners=False)

    def _soiled(
        self, x: Tensor, strength: float, dice: Callable[[float, float], Tensor], generator: torch.Generator
    ) -> Tensor:
        """Return x with black and white spots of 2 × 2 pixels, and grain."""
        batch, _, height, width = x.shape
        spots = torch.rand(batch, 1, height // 2, width // 2, generator=generator)
        share = strength * dice(0, self.specks) / 2
        lit = functional.interpolate((spots > 1 - share).float() - (spots < share).float(), scale_factor=2.0)
        grain = torch.randn(x.shape, generator=generator) * (strength * dice(0, self.grain))
        return torch.where(lit == 0, x, (lit + 1) / 2) + grain


def plain_pictures(pictures: Tensor, size: int) -> Tensor:
    """Return digits (B, h, w) in 0 … 1 as pictures (B, 1, size, size) with a narrow margin, not augmented."""
    margin = functional.pad(pictures[:, None], (1, 1, 1, 1))
    return functional.interpolate(margin, size=(size, size), mode="bilinear", align_corners=False)


def caption(digit: int, generator: torch.Generator) -> str:
    """Return a random caption for a picture of `digit`."""

    def pick(choices: Sequence[str]) -> str:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    name = pick((NAMES[digit], str(digit)))
    words = {
        "article": pick(_ARTICLES),
        "kind": pick(_KINDS),
        "picture": pick(_PICTURES),
        "noun": pick(_NOUNS),
        "name": pick((name, f'"{name}"')),
    }
    return " ".join(pick(_FRAMES).format(**words).split()) + pick(("", "."))


def _dice(batch: int, generator: torch.Generator) -> Callable[[float, float], Tensor]:
    """Return a function that draws a number in a range for each picture, (B, 1, 1, 1)."""
    return lambda low, high: low + (high - low) * torch.rand(batch, 1, 1, 1, generator=generator)


def _enlarged(pictures: Tensor, margin: int) -> Tensor:
    """Return pictures (B, h, w) as (B, 1, H, W), four times as large, with a margin."""
    padded = functional.pad(pictures[:, None], (margin,) * 4)
    return functional.interpolate(padded, scale_factor=4.0, mode="bicubic", align_corners=False)


def _edges(x: Tensor) -> Tensor:
    """Return the gradient magnitude of x (B, 1, H, W), scaled to 0 … 1."""
    across = functional.conv2d(x, _SOBEL[None, None], padding=1)
    down = functional.conv2d(x, _SOBEL.T[None, None], padding=1)
    steep = torch.hypot(across, down)
    return steep / steep.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)


def _recolored(x: Tensor, strength: float, dice: Callable[[float, float], Tensor]) -> Tensor:
    """Return x in two other grays with enough contrast; dark on bright half of the time."""
    ground, ink = dice(0, 1), dice(0, 1)
    ink = torch.where((ink - ground).abs() < 0.35, ground + torch.where(ground < 0.5, 0.5, -0.5), ink)
    other = ground + (ink - ground) * x
    return torch.where(dice(0, 1) < strength, other, x)
