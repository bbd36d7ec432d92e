"""Settings of short trainings on the built-in shapes, and trainings of any kind that can be stopped at a step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from spikecli.settings.config import TrainConfig
from spikecli.settings.recipes import train_settings
from spikecli.training.runs import Epoch
from spikecli.training.train import opened


def settings(paper: str = "spiking-pointnet", tnet: str = "none", **changes: Any) -> TrainConfig:
    values = {"epochs": 2, "batch_size": 20, "points": 64, "seed": 0, **changes}
    return train_settings("shapes", paper, "short", values, {}, {"tnet": tnet})


def fit(config: TrainConfig, data: Path, out: Path, resume: bool = False, stop_at: int = 0) -> list[Epoch]:
    seen = 0

    def on_step(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    with opened(config, data, out, resume, "cpu") as trainer:
        return list(trainer.epochs(on_step))
