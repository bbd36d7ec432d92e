"""Evidence of a step that is not finite: the batch and the weights are saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from spikecli.errors import SpikeError, named
from spikecli.files import tensors
from spikecli.machine import processes

FORMAT = "spikecli-batch-1"


def save_bad_batch(
    folder: Path, model: nn.Module, batch: Mapping[str, Tensor], loss: float, epoch: int, step: int
) -> SpikeError:
    """Save the batch and the weights of a step that is not finite in `folder`, and return the error.

    `batch` is this process's share: the step's inputs and logits; epoch and step count from 0.
    """
    where = f"epoch {epoch + 1}, step {step + 1}"
    share = f"-process-{processes.rank()}" if processes.world() > 1 else ""
    path = folder / f"bad-batch-{epoch + 1}-{step + 1}{share}.safetensors"
    about = {"format": FORMAT, "epoch": str(epoch + 1), "step": str(step + 1), "loss": str(loss)}
    weights = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors.write(path, {**batch, **weights}, about, finite=False)
    what = "a gradient became infinite or NaN" if math.isfinite(loss) else f"the loss became {loss}"
    return SpikeError(
        f"{what} in {where}; the batch and the weights are kept in {path} to look at, and the epoch before in "
        f"{folder}: try a lower {named('lr')}"
    )
