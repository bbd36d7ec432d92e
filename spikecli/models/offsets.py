"""DeLA's second task (2308.16532), only in training: predict a neighbor's offset from the feature difference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikecli.models.dela_parts import SCALE
from spikecli.models.neighbours import Neighborhood

HIDDEN = 32
DEVIATIONS = (2.8, 5.3, 10.0)  # of the offsets of each level, which are divided by them
Stream = tuple[Tensor, Neighborhood]  # features (T, B, N, C) of a level, and its points


class OffsetTask(nn.Module):
    """The mean over the levels of |p̂ − p|²/3: p is the scaled offset of one random neighbor of each point, and p̂ is
    predicted from the difference of the two points' features in the stream."""

    random_in_training = True

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(channels, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 3)
            )
            for channels in widths
        )

    def forward(self, streams: Sequence[Stream]) -> Tensor:  # → ()
        losses = [
            self._level(head, deviation, *stream)
            for head, deviation, stream in zip(self.heads, DEVIATIONS, streams, strict=True)
        ]
        return torch.stack(losses).mean()

    def _level(self, head: nn.Module, deviation: float, x: Tensor, near: Neighborhood) -> Tensor:
        points = SCALE * near.place
        place = torch.randint(near.index.shape[2], (*near.index.shape[:2], 1), device=x.device)
        chosen = near.index.gather(2, place).squeeze(2)  # (B, N)
        clouds = torch.arange(len(points), device=x.device)[:, None]
        offsets = (points[clouds, chosen] - points) / deviation
        # Not gather, whose gradient a GPU adds up in any order.
        guesses = head((x[:, clouds, chosen] - x).flatten(0, 2)).view(*x.shape[:-1], 3)
        return functional.mse_loss(guesses.float(), offsets.float().expand(guesses.shape))
