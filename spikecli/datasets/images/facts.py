"""The facts of every built-in data set of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikecli.datasets.facts import Facts
from spikecli.files.remote import Remote

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
    "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
    "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark "
    "shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
_TORONTO = "https://www.cs.toronto.edu/~kriz"
_TERMS = "its makers ask to cite Krizhevsky, 2009"


@dataclass(frozen=True)
class ImageFacts(Facts):
    """The facts of a data set of images; a file of CIFAR holds records of labels, then 3 × 32 × 32 bytes."""

    files: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (split, names)
    labels: int = 1  # bytes before the pixels, of which the last is the label
    size: tuple[int, int] = (32, 32)  # height, width
    fit: str = "squeeze"  # a picture of another shape to that size; or "crop" its middle

    kind: ClassVar[str] = "images"


CIFAR10 = ImageFacts(
    name="cifar10",
    title="CIFAR-10, small color pictures of ten kinds (Krizhevsky, 2009)",
    classnames=tuple(_CIFAR10.split()),
    files=(("train", tuple(f"data_batch_{number}.bin" for number in range(1, 6))), ("test", ("test_batch.bin",))),
    sizes=(("train", 50_000), ("test", 10_000)),
    labels=1,
    remotes=(
        Remote(
            "cifar-10-binary.tar.gz", (f"{_TORONTO}/cifar-10-binary.tar.gz",), "md5:c32a1d4ab5d03f1284b67883e8d87530"
        ),
    ),
    terms=_TERMS,
)
CIFAR100 = ImageFacts(
    name="cifar100",
    title="CIFAR-100, small color pictures of a hundred kinds (Krizhevsky, 2009)",
    classnames=tuple(_CIFAR100.split()),
    files=(("train", ("train.bin",)), ("test", ("test.bin",))),
    sizes=(("train", 50_000), ("test", 10_000)),
    labels=2,  # the coarse one, then the fine one
    remotes=(
        Remote(
            "cifar-100-binary.tar.gz", (f"{_TORONTO}/cifar-100-binary.tar.gz",), "md5:03b5dce01913d631647c71ecec9e9cb8"
        ),
    ),
    terms=_TERMS,
)

IMAGE_SETS = {facts.name: facts for facts in (CIFAR10, CIFAR100)}
