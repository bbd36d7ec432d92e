"""Training, one epoch at a time; it can stop after any step and resume to the same weights bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikecli import models
from spikecli.datasets.samples import Samples, load_samples, stratified_split
from spikecli.errors import SpikeError, Stopped, named
from spikecli.evaluation import metrics
from spikecli.files.atomic import sole_writer
from spikecli.machine import processes
from spikecli.machine.device import choose_device, peak_memory, return_freed_memory, storage_type
from spikecli.models.joint import Joint
from spikecli.models.running import step_logits
from spikecli.progress import Progress
from spikecli.settings.config import TrainConfig
from spikecli.training import evidence, schedule, starting
from spikecli.training.batches import Batches, check_resampling, first_points
from spikecli.training.budget import Budget, is_over
from spikecli.training.captured import next_pace, runner
from spikecli.training.chosen import Chosen
from spikecli.training.distillation import teacher_of
from spikecli.training.feeds import feed
from spikecli.training.frozen import begin_training, freeze
from spikecli.training.interruption import Stop, stoppable
from spikecli.training.noting import note_data
from spikecli.training.offset_loss import offset_weight
from spikecli.training.reestimation import REESTIMATION_CLOUDS, reestimate
from spikecli.training.runs import STATE, Epoch, Run, default_folder
from spikecli.training.settings import check_settings, fitted_to, with_precision
from spikecli.training.step import ERROR, LOSS, RIGHT, SOUND, TrainStep
from spikecli.weights.run_folder import RUNS, check_folder

OnStep = Callable[[int, int, float, float, float], None]  # step of the epoch, steps, loss, accuracy, learning rate


@contextmanager
def opened(
    config: TrainConfig,
    data_dir: Path,
    out: Path | None,
    resume: bool,
    device_name: str,
    runs: Path = RUNS,
    progress: Progress = Progress(),
    accept_changed: bool = False,
) -> Iterator[Trainer]:
    """Yield a trainer that has locked its run folder; raise SpikeError if the run cannot start or resume."""
    device = processes.own_device(choose_device(device_name))
    check_settings(config, data_dir)
    samples = load_samples(data_dir, config.dataset, "train", config, progress=progress)
    inputs = samples.inputs(config.timesteps)
    config = fitted_to(config, samples, inputs)
    check_resampling(config, inputs)
    with processes.joined(device):
        folder = out or default_folder(runs, config, resume)
        check_folder(folder, resume)
        with sole_writer(folder, "training") if processes.rank() == 0 else nullcontext():
            config = with_precision(config, folder / STATE, device)
            trainer = Trainer(config, samples, inputs, folder, device)
            note_data(trainer.run, data_dir, inputs, samples.labels)
            if resume:
                starting.resume_run(trainer.run, trainer.model, trainer.optimizer, trainer.batches, accept_changed)
            else:
                starting.begin_run(trainer.run, trainer.model, trainer.batches, device)
            yield trainer


class Trainer:
    """A run in progress: model, optimizer, batches and folder."""

    def __init__(
        self, config: TrainConfig, samples: Samples, inputs: np.ndarray, folder: Path, device: torch.device
    ) -> None:
        if config.batch_size % processes.world():
            raise SpikeError(
                f"{named('batch_size')} {config.batch_size} cannot be shared by {processes.world()} processes; "
                "take a multiple"
            )
        kept, held_out = stratified_split(samples.labels, config.val_fraction, config.seed)
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device
        self.model = models.build(config.model).to(device, storage_type(config.precision))
        freeze(self.model, config.freeze)
        self.optimizer = schedule.optimizer(config, self.model)
        self.unit_name = samples.unit_name
        self.batches = Batches(Chosen(inputs, kept), samples.labels[kept], config, device)
        scored = first_points(inputs[held_out], config.points) if config.resample else inputs[held_out]
        self.held_out = Batches(scored, samples.labels[held_out], config, device)
        self.run = Run(folder, config, samples.classnames)
        self.scores: dict[str, float | None] = {}  # of what else was trained
        teacher = teacher_of(config, samples.classnames, device)
        self.run.teacher = teacher.note if teacher else {}
        self.step = TrainStep(config, self.model, self.optimizer, device, teacher)
        self._feed = feed(self.batches)
        self._runner = runner(lambda shape: self.step(*self._feed.make(shape)), self.step)
        self.budget: Budget | None = None  # of time; an epoch that would end too late is not begun
        self._pace = 1  # steps before their sums are read

    @property
    def steps_left(self) -> int:
        return self.config.epochs * self.batches.steps - self.run.progress.step

    def summary(self) -> dict[str, Any]:
        """Return the summary of the whole run for the JSON document: accuracies in 0…1, memory in MB."""
        epochs = self.run.progress.epochs
        seconds = sum(epoch["seconds"] for epoch in epochs)
        membranes = {"quantization_error": epochs[-1]["quantization_error"]} if self.step.membranes else {}
        return {
            "out": str(self.run.folder),
            "epochs": len(epochs),
            "train_accuracy": epochs[-1]["train_accuracy"],
            "val_accuracy": epochs[-1]["val_accuracy"],
            "seconds": seconds,
            "seconds_per_epoch": seconds / len(epochs),
            "clouds_per_second": sum(epoch["clouds_per_second"] * epoch["seconds"] for epoch in epochs) / seconds,
            "peak_memory_mb": peak_memory(self.device),
            **membranes,
            **self.scores,
        }

    def epochs(self, on_step: OnStep) -> Iterator[Epoch]:
        """Yield each remaining epoch after it is trained, scored and saved."""
        with stoppable() as stop:
            for number in range(self.run.progress.step // self.batches.steps, self.config.epochs):
                begun = time.monotonic()
                yield self._epoch(number, on_step, stop)
                if is_over(self.budget, time.monotonic() - begun):
                    break
            if self.config.reestimate:
                reestimate(self.model, self.batches.clean(0, REESTIMATION_CLOUDS), self.config, self.device)
            if processes.rank() == 0:
                self.run.calibration = self.held_out.calibration(self.model)
                self.run.publish(self.model, best=False)
            if isinstance(self.model, Joint):
                self.scores["ann_val_accuracy"] = self._validate(self.model.materialized("ann"))

    def _epoch(self, number: int, on_step: OnStep, stop: Stop) -> Epoch:
        progress, steps = self.run.progress, self.batches.steps
        begin_training(self.model)
        while (step := progress.step - number * steps) < steps:
            begun = time.perf_counter()
            rows = self.make_steps(number, step, min(self._pace, steps - step))
            self._count(rows, time.perf_counter() - begun, number, step, on_step)
            if stop.take_save() and processes.rank() == 0:
                self.run.save_state(self.model, self.optimizer)
            if progress.step < (number + 1) * steps and self._all_stop(stop):
                self._stop_here(number, progress.step - number * steps)
        epoch = Epoch(
            number + 1,
            progress.loss / progress.seen,
            progress.right / progress.seen,
            self._validate(self.model),
            self._lr(),
            progress.seconds,
            progress.seen / progress.seconds,
            progress.quantization / progress.seen if self.step.membranes else None,
        )
        if processes.rank() == 0:
            self.run.end_epoch(self.model, self.optimizer, epoch)
        processes.wait()
        return_freed_memory()  # thinned clouds leave gaps: gigabytes after thirty epochs
        if number + 1 < self.config.epochs and self._all_stop(stop):
            raise self._stopped(f"after epoch {number + 1}")
        return epoch

    def make_steps(self, epoch: int, first: int, count: int) -> list[list[float]]:
        """Run `count` steps from the epoch's `first` on; return the sums of each, as `Step` returns them.

        Only the end waits for the device. Each step is seeded and so a function of its number alone: a run can stop and
        go on anywhere, and a step can be made again.
        """
        rows = []
        for step in range(first, first + count):
            done = (epoch * self.batches.steps + step) / self.batches.steps
            rate = schedule.learning_rate(self.config, done)
            weights = schedule.membrane_weight(self.config, done), offset_weight(self.config, done)
            self.step.prepare(rate, *weights, done / self.config.epochs)
            rows.append(self._runner(self._feed.load(epoch, step), self._seed(epoch, step)).clone())
        return torch.stack(rows).tolist()

    def _count(self, rows: list[list[float]], seconds: float, epoch: int, first: int, on_step: OnStep) -> None:
        """Add the sums of steps to the epoch's; raise SpikeError at the first that is not finite."""
        progress = self.run.progress
        for step, row in enumerate(rows, first):
            if not row[SOUND]:
                raise self._not_finite(row[LOSS], epoch, step)
            progress.step += 1
            progress.seen += self.batches.size
            progress.loss += row[LOSS]
            progress.right += row[RIGHT]
            progress.quantization += row[ERROR]
            progress.seconds += seconds / len(rows)
            shares = progress.loss / progress.seen, progress.right / progress.seen
            on_step(step + 1, self.batches.steps, *shares, self._lr())
        self._pace = next_pace(self.device, len(rows), seconds)

    def _seed(self, epoch: int, step: int) -> int:
        numbers = [self.config.seed, 3, epoch, step, processes.rank()]
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    def _not_finite(self, loss: float, epoch: int, step: int) -> SpikeError:
        """Return the error for a step that was not taken; its batch is made again and saved as evidence."""
        shape = self._feed.load(epoch, step)
        torch.manual_seed(self._seed(epoch, step))
        inputs, labels = self._feed.make(shape)
        indices = torch.from_numpy(self.batches.order(epoch)[step])
        batch = {"inputs": inputs, "labels": labels, "logits": self.step.logits(inputs), "indices": indices}
        return evidence.save_bad_batch(self.run.folder, self.model, batch, loss, epoch, step)

    def _epochs_done(self) -> float:
        return self.run.progress.step / self.batches.steps

    def _lr(self) -> float:
        return schedule.learning_rate(self.config, self._epochs_done())

    def _validate(self, model: nn.Module) -> float | None:
        if not len(self.held_out.labels):
            return None
        share = slice(processes.rank(), None, processes.world())
        inputs, labels = self.held_out.inputs[share], torch.from_numpy(self.held_out.labels[share])
        logits = step_logits(model, inputs, self.config.timesteps, self.device, self.config.precision, self.config.seed)
        right = (metrics.cumulative_predictions(logits)[-1] == labels).sum().double()
        return float(processes.summed(right.to(self.device))) / len(self.held_out.labels)

    def _all_stop(self, stop: Stop) -> bool:
        if processes.world() == 1:
            return stop.asked
        return bool(processes.summed(torch.tensor(float(stop.asked), device=self.device)))

    def _stop_here(self, epoch: int, step: int) -> None:
        if processes.rank() == 0:
            self.run.save_state(self.model, self.optimizer)
        processes.wait()
        raise self._stopped(f"in epoch {epoch + 1} after step {step}")

    def _stopped(self, where: str) -> Stopped:
        return Stopped(
            f"stopped {where}; saved in {self.run.folder}: give the same command with {named('resume')} to go on"
        )
