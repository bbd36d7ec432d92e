"""The facts of a data set: built in, from a plug-in, or from a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikecli.files.remote import Remote

PHOTO = "A low quality point cloud image of {}."  # the prompt of NeuroCLIP's authors for things of all kinds


@dataclass(frozen=True)
class Facts:
    """The facts of a data set that every kind of data has; a label is a place in `classnames`."""

    name: str
    title: str
    classnames: tuple[str, ...]  # as said in a prompt
    sizes: tuple[tuple[str, int], ...] = ()  # (split, samples) of the whole data set, where it is known
    remotes: tuple[Remote, ...] = ()
    terms: str = ""
    templates: tuple[str, ...] = (PHOTO,)  # prompts; {} stands for the class name
    mirrors: bool = True  # whether a mirrored sample is still of its class
    split_rule: str = ""
    folders: tuple[str, ...] = ()  # the class folders on disk, in the order of the class names
    made: bool = False  # on this machine, without any source
    own: bool = False  # a user's: its facts are in DATA_DIR/NAME/dataset.toml

    kind: ClassVar[str] = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of its splits."""
        return tuple(split for split, _ in self.sizes)
