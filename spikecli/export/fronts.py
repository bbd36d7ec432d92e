"""Preprocessing as modules of a graph: clouds into the unit sphere, events into frames, frames into CLIP's pictures."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from spikecli.datasets.events.frames import PRESETS, fitted

Size = tuple[int, int]  # height, width


class Raw(nn.Module):
    """The input as the network takes it; with `swap`, frames (B, T, 2, H, W) → (T, B, 2, H, W)."""

    def __init__(self, swap: bool = False) -> None:
        super().__init__()
        self.swap = swap

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1) if self.swap else x


class Sphere(nn.Module):
    """Clouds (B, N, 3 or 6), each centered on its mean with its farthest point at distance one; normals pass.

    In float64, as the program does it: a rounding of float32 may change which points are neighbors.
    """

    def forward(self, points: Tensor) -> Tensor:
        wide = points[..., :3].double() if points.shape[-1] > 3 else points.double()
        centered = wide - wide.mean(1, keepdim=True)
        unit = (centered / centered.square().sum(-1, keepdim=True).amax(1, keepdim=True).sqrt()).to(points.dtype)
        return torch.cat([unit, points[..., 3:]], -1) if points.shape[-1] > 3 else unit


class Pixels(nn.Module):
    """Images (B, 3, H, W) of bytes → (value/255 − ½)/¼."""

    unit: Tensor  # (), in the type of the graph's numbers

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.unit.dtype) / 255 - 0.5) / 0.25


class Slices(nn.Module):
    """The events (n, 4) of one recording, columns x, y, t, p in order of time, → counts (T, 1, 2, H, W).

    Slices of ⌊n/T⌋ events each, the last with the rest, or of equal duration. `scale` multiplies the counts.
    """

    unit: Tensor  # (), in the type of the graph's numbers

    def __init__(
        self,
        timesteps: int,
        slicing: str,
        sensor: Size,
        size: Size | None = None,
        scale: float = 1,
        nearest: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))
        self.timesteps, self.slicing, self.sensor, self.scale = timesteps, slicing, sensor, scale
        self.fit = Fit(sensor, size, nearest=nearest) if size is not None and size != sensor else None

    def forward(self, events: Tensor) -> Tensor:
        x, y, t, p = events.unbind(1)
        height, width = self.sensor
        place = ((self._slice(t) * 2 + p) * height + y) * width + x
        blank = torch.zeros(self.timesteps * 2 * height * width, dtype=self.unit.dtype)
        counts = blank.scatter_add(0, place, torch.ones_like(place, dtype=self.unit.dtype))
        frames = counts.view(self.timesteps, 1, 2, height, width)
        frames = frames if self.fit is None else self.fit(frames)
        return frames if self.scale == 1 else frames * self.scale

    def _slice(self, t: Tensor) -> Tensor:
        if self.timesteps == 1:
            return torch.zeros_like(t)
        if self.slicing == "count":
            count = t.shape[0]
            return (torch.arange(count) // (count // self.timesteps)).clamp(max=self.timesteps - 1)
        since = t - t[0]
        return since * self.timesteps // (since[-1] + 1)


class Fit(nn.Module):
    """Maps (..., H, W) of a sensor at another size, as `datasets.events.frames.fitted` scales them.

    A margin and a scaling, bilinear or to the nearest pixel, are linear in each axis: two matrices say both, on a
    ground that fills the margin.
    """

    rows: Tensor  # (height, sensor's height)
    columns: Tensor  # (width, sensor's width)

    def __init__(self, sensor: Size, size: Size, ground: float = 0.0, nearest: bool = False) -> None:
        super().__init__()
        self.ground = ground
        resize: Literal["nearest", "bilinear"] = "nearest" if nearest else "bilinear"
        height, width = sensor
        lines = torch.eye(height)[:, None, :, None].expand(-1, 1, -1, width)
        posts = torch.eye(width)[:, None, None, :].expand(-1, 1, height, -1)
        self.register_buffer("rows", fitted(lines, 0.0, size, resize)[:, 0, :, size[1] // 2].T.contiguous())
        self.register_buffer("columns", fitted(posts, 0.0, size, resize)[:, 0, size[0] // 2, :].T.contiguous())

    def forward(self, maps: Tensor) -> Tensor:
        return self.rows @ (maps - self.ground) @ self.columns.T + self.ground


class Canvas(nn.Module):
    """Counts (T, 1, 2, H, W) → CLIP's pictures (T, 3, S, S) in 0 … 1, in the style of a preset."""

    def __init__(self, preset: str, threshold: int, sensor: Size, side: int) -> None:
        super().__init__()
        self.draw, self.threshold = PRESETS[preset].draw, threshold
        self.fit = Fit(sensor, (side, side), PRESETS[preset].ground)

    def forward(self, counts: Tensor) -> Tensor:
        return self.fit(self.draw(counts.flatten(0, 1), self.threshold)).clamp(0, 1).expand(-1, 3, -1, -1)
