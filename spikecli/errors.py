"""Errors that the user can fix."""

from __future__ import annotations


class SpikeError(Exception):
    """An error that the user can fix: one line with what was found, what was wanted and what to do next."""


class SettingError(SpikeError):
    """An invalid setting: `setting` is its name, `reason` the rest of the sentence.

    The command line says its option in place of the name.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting} {reason}")
        self.setting = setting
        self.reason = reason

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, str]]:
        return type(self), (self.setting, self.reason)


class ChoiceError(SettingError):
    """A value that is not one of a setting's choices; on the command line a usage error."""


class Stopped(Exception):
    """The user stopped the program and nothing was lost; the message says what is saved and how to resume."""
