"""Training: an epoch at a time, stoppable after any step, resumable to the same weights bit for bit."""

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
from spikecli.datasets.sets import kind_of
from spikecli.errors import SpikeError, Stopped
from spikecli.evaluation import metrics
from spikecli.evaluation.evaluate import step_logits
from spikecli.files.atomic import sole_writer
from spikecli.machine import processes
from spikecli.machine.device import autocast, choose_device, peak_memory, return_freed_memory, storage_type
from spikecli.models.joint import Joint
from spikecli.progress import Watch
from spikecli.settings.config import TrainConfig
from spikecli.settings.rules import refuse
from spikecli.training import evidence, losses, schedule
from spikecli.training.batches import Batches
from spikecli.training.interruption import Stop, stoppable
from spikecli.training.joint_loss import JointLoss
from spikecli.training.membrane_loss import MembraneLoss
from spikecli.training.reestimation import REESTIMATION_CLOUDS, reestimate
from spikecli.training.runs import STATE, Epoch, Run, default_folder
from spikecli.training.settings import flips
from spikecli.weights import provenance

OnStep = Callable[[int, int, float, float, float], None]  # step of the epoch, steps, loss, accuracy, learning rate


@contextmanager
def opened(
    config: TrainConfig,
    data_dir: Path,
    out: Path | None,
    resume: bool,
    device_name: str,
    runs: Path = Path("checkpoints"),
    watch: Watch = Watch(),
) -> Iterator[Trainer]:
    """Yield a trainer whose run folder no other process writes to; SpikeError when the run cannot begin or go on."""
    device = processes.own_device(choose_device(device_name))
    refuse(config, kind_of(config.dataset), flips(config.dataset))
    samples = load_samples(data_dir, config.dataset, "train", config, watch=watch)
    inputs = samples.inputs(config.timesteps)
    config = _settled(config, samples, inputs)
    with processes.joined(device):
        folder = out or default_folder(runs, config, resume)
        held = (folder / STATE).exists()
        if held and not resume:
            raise SpikeError(f"{folder} holds a run already; add --resume to go on with it, or name another --out")
        if resume and not held:
            raise SpikeError(f"found no run to resume in {folder}; leave out --resume, or name the run with --out")
        with sole_writer(folder, "training") if processes.rank() == 0 else nullcontext():
            trainer = Trainer(config, samples, inputs, folder, device)
            trainer.run.data = provenance.fingerprints(data_dir, config.dataset)
            if resume:
                trainer.run.load_state(trainer.model, trainer.optimizer)
                if processes.rank() == 0:
                    trainer.run.republish(trainer.model)
            yield trainer


def _settled(config: TrainConfig, samples: Samples, inputs: np.ndarray) -> TrainConfig:
    """Return the settings with what the data decides: the number of classes, and channels and size of a map."""
    found: dict[str, Any] = {"classes": len(samples.classnames)}
    if inputs.ndim > 3:
        found |= {"inputs": inputs.shape[-3], "size": inputs.shape[-2:]}
    return config.model_copy(update={"model": config.model.model_copy(update=found)})


class Trainer:
    """One run in the making: model, optimizer, batches and folder."""

    def __init__(
        self, config: TrainConfig, samples: Samples, inputs: np.ndarray, folder: Path, device: torch.device
    ) -> None:
        if config.batch_size % processes.world():
            raise SpikeError(
                f"--batch-size {config.batch_size} cannot be shared by {processes.world()} processes; take a multiple"
            )
        kept, held_out = stratified_split(samples.labels, config.val_fraction, config.seed)
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device
        self.model = models.build(config.model).to(device, storage_type(config.precision))
        self.optimizer = schedule.optimizer(config, self.model)
        self.unit_name = samples.unit_name
        self.batches = Batches(inputs[kept], samples.labels[kept], config, device)
        self.held_out = Batches(inputs[held_out], samples.labels[held_out], config, device)
        self.run = Run(folder, config, samples.classnames)
        self.scores: dict[str, float | None] = {}  # of what else was trained
        self.joint = JointLoss(self.model, config.label_smoothing)
        self.orthogonality = losses.Orthogonality(getattr(self.model, "feature_tnet", None))
        self.membranes = MembraneLoss(self.model, config.rmp_power) if config.rmp_weight else None

    @property
    def steps_left(self) -> int:
        return self.config.epochs * self.batches.steps - self.run.progress.step

    def summary(self) -> dict[str, Any]:
        """Return what the command reports of the whole run: fields of CLI.md, accuracies in 0…1, memory in MB."""
        epochs = self.run.progress.epochs
        seconds = sum(epoch["seconds"] for epoch in epochs)
        membranes = {"quantization_error": epochs[-1]["quantization_error"]} if self.membranes else {}
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
                yield self._epoch(number, on_step, stop)
            if self.config.reestimate:
                reestimate(self.model, self.batches.clean(0, REESTIMATION_CLOUDS), self.config, self.device)
                if processes.rank() == 0:
                    self.run.publish(self.model, best=False)
            if isinstance(self.model, Joint):
                self.scores["ann_val_accuracy"] = self._validate(self.model.materialized("ann"))

    def _epoch(self, number: int, on_step: OnStep, stop: Stop) -> Epoch:
        progress, steps = self.run.progress, self.batches.steps
        order = self.batches.order(number)
        self.model.train()
        for step in range(progress.step % steps, steps):
            begun = time.perf_counter()
            loss, right, quantization = self._step(order[step], number, step)
            progress.step += 1
            progress.seen += order.shape[1]
            progress.loss += loss
            progress.right += right
            progress.quantization += quantization
            progress.seconds += time.perf_counter() - begun
            on_step(step + 1, steps, progress.loss / progress.seen, progress.right / progress.seen, self._lr())
            if step + 1 < steps and self._all_stop(stop):
                self._stop_here(number, step + 1)
        epoch = Epoch(
            number + 1,
            progress.loss / progress.seen,
            progress.right / progress.seen,
            self._validate(self.model),
            self._lr(),
            progress.seconds,
            progress.seen / progress.seconds,
            progress.quantization / progress.seen if self.membranes else None,
        )
        if processes.rank() == 0:
            self.run.end_epoch(self.model, self.optimizer, epoch)
        processes.wait()
        return_freed_memory()  # thinned clouds leave gaps: gigabytes after thirty epochs
        if number + 1 < self.config.epochs and self._all_stop(stop):
            raise self._stopped(f"after epoch {number + 1}")
        return epoch

    def _step(self, indices: np.ndarray, epoch: int, step: int) -> tuple[float, float, float]:
        """Make one step; return summed over all processes' clouds: loss, right answers, quantization error."""
        inputs, labels = self.batches.batch(indices, epoch, step)
        # Seeding every step makes each a function of its number alone: a run can stop and go on anywhere.
        torch.manual_seed(
            int(np.random.SeedSequence([self.config.seed, 3, epoch, step, processes.rank()]).generate_state(1)[0])
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr()
        with autocast(self.device, self.config.precision):
            logits = self.model(inputs, self.config.timesteps)
        loss = losses.cross_entropy(logits, labels, self.config.label_smoothing)
        total = self.joint.total(loss, labels) + self.config.orthogonality * self.orthogonality.take()
        error = torch.zeros_like(loss)
        if self.membranes:
            penalty, error = self.membranes.take()
            total = total + schedule.membrane_weight(self.config, self._epochs_done()) * penalty
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        processes.average_gradients(self.model)
        right = (logits.detach().mean(0).argmax(-1) == labels).sum()
        count = len(labels)
        sums = processes.summed(torch.stack([loss.detach().double() * count, right.double(), error.double() * count]))
        if not evidence.is_sound(float(sums[0]), self.model):
            batch = {"inputs": inputs, "labels": labels, "logits": logits, "indices": torch.from_numpy(indices)}
            raise evidence.save_bad_batch(self.run.folder, self.model, batch, float(sums[0]), epoch, step)
        self.optimizer.step()
        loss_sum, right_sum, error_sum = sums.tolist()
        return loss_sum, right_sum, error_sum

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
        return Stopped(f"stopped {where}; saved in {self.run.folder}: give the same command with --resume to go on")
