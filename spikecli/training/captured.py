"""The step as a CUDA graph: recorded once for each shape, then replayed with a single launch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from spikecli.machine import processes
from spikecli.machine.device import seed_draws
from spikecli.training.step import TrainStep

Work = Callable[[Hashable], Tensor]  # a shape's name in, a step's sums (4,) out; batch and weights lie where they lie
WARM_UP, WARM_UP_AGAIN = 3, 1  # steps before the first recording, and before those of further shapes
MOST_GRAPHS = 32  # further shapes run without one
# Between two readings of a GPU's sums: about so long, at most so many steps; with several processes always so many.
SECONDS_AT_A_TIME, MOST_AT_A_TIME, STEPS_TOGETHER = 0.25, 128, 8


class Eager:
    """Steps run directly, one kernel after another."""

    def __init__(self, work: Work, device: torch.device) -> None:
        self._work = work
        self.device = device

    def __call__(self, shape: Hashable, seed: int) -> Tensor:
        """Return the sums (4,) of a step whose random draws begin at `seed`."""
        seed_draws(self.device, seed)
        return self._work(shape)


class Captured(Eager):
    """Steps replayed from CUDA graphs, one for each shape; all share one pool of memory.

    A replay reads and writes the tensors it was recorded with: batch, weights, the optimizer's state and rate. Its
    random draws begin where torch's generator stands, so that a seeded replay gives what a seeded eager step gives.
    What cannot be recorded runs eagerly, and one warning says why.
    """

    def __init__(self, work: Work, step: TrainStep) -> None:
        super().__init__(work, step.device)
        self._step = step
        self._stream = torch.cuda.Stream(step.device)
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[Hashable, Any] = {}
        self._row = torch.zeros(4, dtype=torch.float64, device=step.device)
        self._gave_up = False

    def __call__(self, shape: Hashable, seed: int) -> Tensor:
        """Return the sums (4,) of a step whose random draws begin at `seed`; the next call overwrites them."""
        if shape not in self._graphs and not self._gave_up and len(self._graphs) < MOST_GRAPHS:
            self._record(shape)
        graph = self._graphs.get(shape)
        if graph is None:
            return super().__call__(shape, seed)
        seed_draws(self.device, seed)
        graph.replay()
        return self._row

    def _record(self, shape: Hashable) -> None:
        kept = Kept(self._step)
        try:
            self._warm_up(shape)
            kept.restore()
            self._graphs[shape] = self._capture(shape)
        except (RuntimeError, AssertionError) as error:
            self._gave_up = True
            _end_capture(self._step.device)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            warnings.warn(f"training runs without CUDA graphs, and slower: {reason}", stacklevel=2)
        finally:
            kept.restore()
            self._step.optimizer.zero_grad(set_to_none=True)

    def _warm_up(self, shape: Hashable) -> None:
        """Run some steps on the recording stream, so that libraries and memory are ready before the recording."""
        self._stream.wait_stream(torch.cuda.current_stream(self._step.device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP_AGAIN if self._graphs else WARM_UP):
                self._work(shape)
        torch.cuda.current_stream(self._step.device).wait_stream(self._stream)

    def _capture(self, shape: Hashable) -> Any:
        self._step.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        # Other threads, of a progress bar or a writer, may use CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            self._row.copy_(self._work(shape))
        return graph


class Kept:
    """A copy of all that a step changes: weights, running statistics, and the optimizer's state."""

    def __init__(self, step: TrainStep) -> None:
        self._step = step
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in step.state()]
        self._moments = {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in step.optimizer.state.items()
        }

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything in place; optimizer state that is new since then becomes zero, its initial value."""
        for tensor, value in self._tensors:
            tensor.copy_(value)
        for parameter, state in self._step.optimizer.state.items():
            before = self._moments.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor):
                    value.copy_(before[name]) if name in before else value.zero_()


def _end_capture(device: torch.device) -> None:
    """Reset torch's random generator after a failed recording, which it would otherwise wait for."""
    generator = torch.cuda.default_generators[device.index or 0]
    try:
        torch.cuda.synchronize(device)
        generator.graphsafe_set_state(generator.clone_state())
    except RuntimeError:  # nothing was left behind
        pass


def runner(work: Work, step: TrainStep) -> Eager:
    """Return the runner of steps: CUDA graphs on a GPU in a single process, else eager steps."""
    if step.device.type == "cuda" and processes.world() == 1:
        return Captured(work, step)
    return Eager(work, step.device)


def next_pace(device: torch.device, count: int, seconds: float) -> int:
    """Return the number of steps before the next read of sums, after `count` took `seconds`; 1 on a CPU."""
    if device.type != "cuda":
        return 1
    if processes.world() > 1:
        return STEPS_TOGETHER  # the same in all of them
    return max(1, min(MOST_AT_A_TIME, round(count * SECONDS_AT_A_TIME / seconds)))
