"""The facts of every built-in data set of clouds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikecli.datasets.facts import Facts
from spikecli.datasets.reading_options import Axis
from spikecli.files.remote import Remote

_MODELNET10 = "bathtub bed chair desk dresser monitor night_stand sofa table toilet"


_MODELNET40 = (
    "airplane bathtub bed bench bookshelf bottle bowl car chair cone cup curtain desk door dresser flower_pot "
    "glass_box guitar keyboard lamp laptop mantel monitor night_stand person piano plant radio range_hood sink "
    "sofa stairs stool table tent toilet tv_stand vase wardrobe xbox"
)


_SHAPES = "bed bench chair desk lamp monitor shelf sofa stool table"


_HUGGING_FACE = "https://huggingface.co/datasets"


@dataclass(frozen=True)
class CloudFacts(Facts):
    """The facts of a data set of point clouds: classes in sorted order; of the remotes the first that answers."""

    up: Axis = "z"  # the axis of its files that points up

    kind: ClassVar[str] = "points"


SHAPES = CloudFacts(
    name="shapes",
    title="furniture of random proportions, built in",
    classnames=tuple(_SHAPES.split()),
    sizes=(("train", 1000), ("test", 300)),
    terms="made on this machine; free to use",
    made=True,
)


MODELNET10 = CloudFacts(
    name="modelnet10",
    title="ModelNet10, CAD models of furniture (Wu et al., 2015)",
    classnames=tuple(_MODELNET10.split()),
    sizes=(("train", 3991), ("test", 908)),
    remotes=(
        Remote(
            "ModelNet10.zip",
            (
                "https://3dvision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
                "https://modelnet.cs.princeton.edu/ModelNet10.zip",
            ),
        ),
    ),
    terms="for academic research",
)


MODELNET40 = CloudFacts(
    name="modelnet40",
    title="ModelNet40, CAD models of forty kinds (Wu et al., 2015)",
    classnames=tuple(_MODELNET40.split()),
    sizes=(("train", 9843), ("test", 2468)),
    remotes=(
        Remote(
            "ModelNet40.zip",
            ("https://modelnet.cs.princeton.edu/ModelNet40.zip",),
            "md5:79bcee68fdf02f581938ba15f4cdca51",
        ),
        Remote(
            "modelnet40_ply_hdf5_2048.zip",
            (f"{_HUGGING_FACE}/Msun/modelnet40/resolve/main/modelnet40_ply_hdf5_2048.zip",),
        ),
        Remote(
            "modelnet40_normal_resampled.tar.gz",
            (
                f"{_HUGGING_FACE}/Pointcept/modelnet40_normal_resampled-compressed/resolve/main/"
                "modelnet40_normal_resampled.tar.gz",
            ),
            "md5:46ed374f8ef5f7504ec4870298772ac2",
        ),
    ),
    terms="for academic research",
)


POINT_SETS = {facts.name: facts for facts in (SHAPES, MODELNET10, MODELNET40)}
