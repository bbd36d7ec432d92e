"""The one error that a user can put right."""


class SpikeError(Exception):
    """What the user can mend: one line that says what was found, what was wanted and what to do next."""


class Stopped(Exception):
    """The user stopped the program and nothing was lost: the message says what is saved and how to go on."""
