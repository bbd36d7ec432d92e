"""Errors that the user can fix, and how they name a setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_OPTIONS = {"start_from": "from", "source": "from"}  # settings whose option has another name
_ARGUMENTS = {"dataset": "data set", "settings": "RUN|PAPER|RECIPE"}
_naming_options = False  # whether errors are for someone who types options


def option_name(setting: str) -> str:
    """Return the name of a setting's option, without dashes in front: batch-norm for batch_norm."""
    return _OPTIONS.get(setting) or setting.replace("_", "-")


def named(setting: str) -> str:
    """Return how the user names a setting: `batch_size` in Python, --batch-size on the command line."""
    return _ARGUMENTS.get(setting, f"--{option_name(setting)}") if _naming_options else setting


def names_options() -> bool:
    """Return whether `named` returns options."""
    return _naming_options


@contextmanager
def naming_options(on: bool = True) -> Iterator[None]:
    """Let errors raised in the block name options: the command line runs in it, a library call does not."""
    global _naming_options  # a process is a program or a library
    before, _naming_options = _naming_options, on
    try:
        yield
    finally:
        _naming_options = before


class SpikeError(Exception):
    """An error that the user can fix: one line with what was found, what was wanted and what to do next."""


class SettingError(SpikeError):
    """An invalid setting, usage on the command line: `setting` is its name, `reason` the rest of the sentence."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{named(setting)} {reason}")
        self.setting = setting
        self.reason = reason

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, str]]:
        return type(self), (self.setting, self.reason)


class ChoiceError(SettingError):
    """A value that is not one of a setting's choices."""


class Stopped(Exception):
    """The user stopped the program and nothing was lost; the message says what is saved and how to resume."""
