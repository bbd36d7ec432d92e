"""The errors that a user can put right."""

from __future__ import annotations


class SpikeError(Exception):
    """What the user can mend: one line that says what was found, what was wanted and what to do next."""


class SettingError(SpikeError):
    """A setting that cannot be as it is: `setting` is its name, `reason` the rest of the sentence.

    The command line says its option in place of the name.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting} {reason}")
        self.setting = setting
        self.reason = reason

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, str]]:
        return type(self), (self.setting, self.reason)


class ChoiceError(SettingError):
    """A value that is none of the choices of a setting: on the command line it is wrong usage."""


class Stopped(Exception):
    """The user stopped the program and nothing was lost: the message says what is saved and how to go on."""
