"""Early stopping: each sample takes steps until its answer is sure; membranes persist between calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikecli.errors import SettingError, SpikeError
from spikecli.evaluation.how import How
from spikecli.models.inputs import to_network
from spikecli.models.running import inference, samples_at_a_time
from spikecli.models.step_norm import demand_every_step
from spikecli.neurons import Neuron
from spikecli.neurons.start import Perturbed
from spikecli.weights.trained import Trained


@dataclass(frozen=True)
class StopRule:
    """The rule: stop at the first step whose mean logits so far give a class this probability, or after `most` steps.

    The confidence is a fixed default, never fitted to the split that it is reported on.
    """

    confidence: float = 0.9
    most: int = 8

    def sure(self, mean_logits: Tensor) -> Tensor:
        """Return which of mean logits (..., K) are sure enough (...); with a confidence of 1, none is.

        The doubt is the other classes' probability: 1 − p would be lost to rounding where p is close to 1.
        """
        probabilities = mean_logits.double().softmax(-1)
        doubt = probabilities.sort(-1).values[..., :-1].sum(-1)
        return doubt <= 1 - self.confidence

    def steps(self, mean_logits: Tensor) -> Tensor:
        """Return the number of steps (S,) that each sample takes, of logits averaged over the first 1 to T steps
        (T, S, K), T at least `most`."""
        ends = self.sure(mean_logits[: self.most])
        ends[-1] = True
        return ends.int().argmax(0) + 1  # the first True


def spikes(model: nn.Module) -> bool:
    """Return whether a network has spiking neurons, so that more time steps change its answer."""
    return any(isinstance(module, Neuron) for module in model.modules())


def distinct_steps(model: nn.Module, timesteps: Sequence[int]) -> Sequence[int]:
    """Return the numbers of time steps that make a difference to a network: for an ANN, 1."""
    return timesteps if spikes(model) else [1]


def runs_of(model: nn.Module, runs: int) -> int:
    """Return how many of `runs` perturbation seeds make a difference to a network: 1 if no start is random."""
    return runs if any(isinstance(module, Perturbed) for module in model.modules()) else 1


def votes_of(model: nn.Module, votes: int) -> int:
    """Return the number of votes unchanged; raise SettingError if several would be the same pass again."""
    if votes > 1 and runs_of(model, 2) == 1:
        raise SettingError("votes", f"cannot be {votes}: no membrane of this network starts at random; remove it")
    return votes


class Membrane(nn.Module):
    """A start that continues from the last step's potentials, for the samples that have not stopped."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.start = neuron.start
        self.reset = neuron.reset
        self._left: list[Tensor] = []
        self._kept: Tensor | None = None
        self._taken = 0

    def forward(self, x: Tensor) -> Tensor | None:
        if self._kept is None:
            v: Tensor | None = self.start(x)
            return v
        begin, self._taken = self._taken, self._taken + len(x)  # a layer may be called for a few samples at a time
        return self._kept[begin : self._taken]

    def on_charge(self, module: nn.Module, inputs: Any, v: Tensor) -> None:
        """Record the charged potential."""
        self._v = v

    def on_fire(self, module: nn.Module, inputs: Any, fired: Tensor) -> None:
        """Record the potential after the reset."""
        self._left.append(self.reset(self._v, fired))

    def go_on(self, chosen: Tensor) -> None:
        """Keep the potentials of the chosen samples (B,) for the next step."""
        self._kept, self._left, self._taken = torch.cat(self._left)[chosen], [], 0


@contextmanager
def carried(model: nn.Module) -> Iterator[list[Membrane]]:
    """Yield the membranes of a network; in the block each call of one step continues where the last one ended.

    As in a call of many steps, a start is drawn once, so that both give the same logits to rounding. Raise SpikeError
    if a layer needs the number of the step.
    """
    demand_every_step(model)
    neurons = [module for module in model.modules() if isinstance(module, Neuron)]
    membranes = [Membrane(neuron) for neuron in neurons]
    handles = []
    for neuron, membrane in zip(neurons, membranes, strict=True):
        neuron.start = membrane
        handles += [
            neuron.charge.register_forward_hook(membrane.on_charge),
            neuron.fire.register_forward_hook(membrane.on_fire),
        ]
    try:
        yield membranes
    finally:
        for handle in handles:
            handle.remove()
        for neuron, membrane in zip(neurons, membranes, strict=True):
            neuron.start = membrane.start


def answers(model: nn.Module, inputs: np.ndarray, stop: StopRule, how: How, run: int = 0) -> tuple[Tensor, Tensor]:
    """Return each sample's mean logits (S, K), float32 on the CPU, and the steps (S,) that it took.

    `inputs` are points, images or frames (S, ...), of these as many as `stop.most`. Only samples that are not sure yet
    are passed on to the next step. `run` is added to the seed. Raise SpikeError for an ANN.
    """
    if not spikes(model):
        raise SpikeError("an ANN has no time steps, found timesteps auto; give a number, or a spiking network")
    device, kind = how.device, next(model.parameters()).dtype
    parts = []
    with inference(device, how.precision, how.seed + run):
        size = samples_at_a_time(inputs, device)  # as with fixed steps: a start draws the same for both
        for start in range(0, len(inputs), size):
            part = inputs[start : start + size]
            with carried(model) as membranes:
                parts.append(_answer(model, to_network(part, device, kind), stop, membranes))
            how.on_samples(len(part))
    means, steps = zip(*parts, strict=True)
    return torch.cat(means), torch.cat(steps)


def sure_probabilities(
    trained: Trained, inputs: np.ndarray, stop: StopRule, seed: int = 0
) -> tuple[np.ndarray, list[int]]:
    """Return probabilities (S, K) of clouds, frames or images (S, ...) where each stops, and the steps that each took.

    Raise SpikeError for an ANN.
    """
    means, steps = answers(trained.network, inputs, stop, How(seed=seed, device=trained.device))
    return means.softmax(-1).numpy(), steps.tolist()


def _answer(model: nn.Module, x: Tensor, stop: StopRule, membranes: list[Membrane]) -> tuple[Tensor, Tensor]:
    frames = x.dim() == 5  # (T, B, C, H, W): each step has its own; all else is the same at every step
    count = x.shape[1] if frames else len(x)
    alive = torch.arange(count, device=x.device)
    steps = torch.zeros(count, dtype=torch.int64, device=x.device)
    means, total = torch.empty(0), torch.zeros(1)
    for step in range(1, stop.most + 1):
        logits = model(x[step - 1 : step] if frames else x, 1)[0].float()
        total = logits if step == 1 else total + logits
        means = torch.empty_like(total) if step == 1 else means
        ends = stop.sure(total / step) | (step == stop.most)
        means[alive[ends]], steps[alive[ends]] = total[ends] / step, step
        if ends.all():
            break
        for membrane in membranes:
            membrane.go_on(~ends)
        x, alive, total = x[:, ~ends] if frames else x[~ends], alive[~ends], total[~ends]
    return means.cpu(), steps.cpu()
