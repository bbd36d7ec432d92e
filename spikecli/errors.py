"""The one error that a user can put right."""


class SpikeError(Exception):
    """What the user can mend: one line that says what was found, what was wanted and what to do next."""
