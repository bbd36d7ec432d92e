"""Answer "none of these" where a network is not sure enough, by its calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikecli.errors import ChoiceError, SpikeError, named
from spikecli.evaluation.calibration import Calibration, for_steps
from spikecli.weights.trained import Trained


@dataclass(frozen=True)
class Rejecting:
    """A least probability of the best class, after a temperature; `note` says what is not known, if anything."""

    threshold: float
    temperature: float = 1.0
    note: str = ""

    def tempered(self, probabilities: np.ndarray) -> np.ndarray:
        """Return softmax(z/T) for probabilities softmax(z) (S, K)."""
        with np.errstate(divide="ignore"):
            logits = np.log(probabilities.astype(np.float64)) / self.temperature
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        found: np.ndarray = shares / shares.sum(-1, keepdims=True)
        return found

    def rejects(self, probabilities: Sequence[float]) -> bool:
        """Return whether no class of a sample, with tempered probabilities (K,), is probable enough."""
        return max(probabilities) < self.threshold


def parse_reject(text: str) -> float | None:
    """Return the probability in 0…1 that a text names, None for auto; raise ChoiceError for anything else."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ChoiceError("reject", f"cannot be {text!r}: give a probability from 0 to 1, or auto")
    return value


def rejecting(trained: Trained, threshold: float | None, timesteps: int) -> Rejecting:
    """Return what rejects answers of a network after so many steps; None is the threshold that its weights hold.

    Raise SpikeError if that is asked for and was never fitted.
    """
    found = for_steps(trained.notes, timesteps)
    if threshold is None and (found is None or not found.fitted):
        raise SpikeError(f"{trained.given} holds no fitted threshold: {_why(found)}; give a probability, such as 0.6")
    if found is None or not found.fitted:
        return Rejecting(threshold or 0.0, note=f"probabilities are not calibrated: {_why(found)}")
    note = "" if found.timesteps == timesteps else f"calibrated at T = {found.timesteps}, the nearest to {timesteps}"
    return Rejecting(found.threshold if threshold is None else threshold, found.temperature, note)


def _why(found: Calibration | None) -> str:
    if found is None:
        return "the weights hold no calibration; `spikecli calibrate RUN` fits one to samples held out in training"
    return f"{found.samples} held-out samples are too few; train with a larger {named('val_fraction')}"
