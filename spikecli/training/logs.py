"""Following a training: TensorBoard, and Weights & Biases or MLflow where those are installed."""

from __future__ import annotations

import json
import netrc
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from spikecli.errors import ChoiceError, SpikeError, named
from spikecli.files.atomic import make_folder, unwritable, write_text
from spikecli.files.extras import installed
from spikecli.settings.choices import advice
from spikecli.settings.config import TrainConfig
from spikecli.settings.document import as_options

PROJECT = "spikecli"  # unless WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME says otherwise
IDS = "log.json"  # in a run folder: the run's name in each log, by which a resumed run goes on there
_WANDB_HOST = "api.wandb.ai"


class Log(Protocol):
    """A log of one run: the numbers of each epoch, then the end."""

    ident: str

    def add(self, epoch: dict[str, Any]) -> None: ...

    def end(self, finished: bool) -> None: ...


class WandbLog:
    """A run of Weights & Biases: offline, in the run folder, unless WANDB_MODE or a key says otherwise."""

    def __init__(self, folder: Path, config: TrainConfig, ident: str | None) -> None:
        self.ident = ident or uuid.uuid4().hex[:8]
        self._run = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.name,
            id=self.ident,
            resume="allow",
            dir=str(folder),
            config=as_options(config),
            mode=None if "WANDB_MODE" in os.environ or _has_key() else "offline",
        )

    def add(self, epoch: dict[str, Any]) -> None:
        """Log the numbers of an epoch at its step."""
        self._run.log(epoch, step=epoch["epoch"])

    def end(self, finished: bool) -> None:
        """Close the run; a stopped one is marked as such."""
        self._run.finish(exit_code=0 if finished else 1)


class MlflowLog:
    """A run of MLflow, kept where MLFLOW_TRACKING_URI says, by default in the working directory."""

    def __init__(self, folder: Path, config: TrainConfig, ident: str | None) -> None:
        self._mlflow = import_module("mlflow")
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
        run = self._mlflow.start_run(run_id=ident) if ident else self._mlflow.start_run(run_name=folder.name)
        self.ident = str(run.info.run_id)
        if not ident:
            self._mlflow.log_params(as_options(config))

    def add(self, epoch: dict[str, Any]) -> None:
        """Log the numbers of an epoch at its step."""
        numbers = {name: value for name, value in epoch.items() if name != "epoch"}
        self._mlflow.log_metrics(numbers, step=epoch["epoch"])

    def end(self, finished: bool) -> None:
        """Close the run; a stopped one is marked as such."""
        self._mlflow.end_run("FINISHED" if finished else "KILLED")


LOGS: dict[str, Any] = {"wandb": WandbLog, "mlflow": MlflowLog}


def parse_logs(text: str | None) -> tuple[str, ...]:
    """Return the logs in "wandb,mlflow"; raise ChoiceError if one is unknown.

    Raise SpikeError if one is not installed.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else ()
    for name in names:
        if name not in LOGS:
            raise ChoiceError("log", f"cannot be {name!r}: {advice(name, LOGS)}")
        if find_spec(name) is None:
            raise SpikeError(f"{named('log')} {name} needs the package {name}: pip install {name}")
    return names


def chart(folder: Path, number: int, epoch: dict[str, Any]) -> None:
    """Add an epoch to TensorBoard's curves, if it is installed; points beyond the last saved state are dropped.

    Raise SpikeError if the folder cannot be written.
    """
    if not installed("tensorboard"):
        return
    from torch.utils.tensorboard import SummaryWriter

    folder = make_folder(folder / "tensorboard")
    try:
        with SummaryWriter(folder, purge_step=number) as writer:
            for name, value in numbers_of(epoch).items():
                if name != "epoch":
                    writer.add_scalar(name, value, number)
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def logging_to(names: Sequence[str], folder: Path, config: TrainConfig) -> Iterator[tuple[Log, ...]]:
    """Yield the logs of a run, begun or continued; they are closed when the block ends.

    Raise SpikeError if a log cannot be begun.
    """
    if not names:
        yield ()
        return
    known = _read_ids(folder)
    logs: list[Log] = []
    finished = False
    try:
        for name in names:
            logs.append(_begun(name, folder, config, known.get(name)))
        write_text(folder / IDS, json.dumps({**known, **dict(zip(names, (log.ident for log in logs), strict=True))}))
        yield tuple(logs)
        finished = True
    finally:
        for log in logs:
            log.end(finished)


def _begun(name: str, folder: Path, config: TrainConfig, ident: str | None) -> Log:
    try:
        log: Log = LOGS[name](folder, config, ident)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SpikeError(f"{named('log')} {name} cannot begin: {reason}; check its settings, or remove it") from error
    return log


def numbers_of(epoch: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of an epoch that are known."""
    return {name: value for name, value in epoch.items() if value is not None}


def _read_ids(folder: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads((folder / IDS).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in found.items()}
    return {}


def _has_key() -> bool:
    """Return whether the user has logged in to Weights & Biases on this machine."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc().authenticators(_WANDB_HOST) is not None
    return False
