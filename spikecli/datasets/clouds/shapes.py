"""Ten kinds of furniture, each piece with random proportions: a data set that needs no download.

Kinds share parts on purpose: a desk without drawers is nearly a table, a low-backed chair nearly a stool.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.facts import SHAPES
from spikecli.datasets.clouds.geometry import Mesh
from spikecli.datasets.clouds.solids import Workpiece, write_off
from spikecli.files.atomic import make_folder, scratch_folder, unwritable

_RECIPE = "recipe.json"


@dataclass(frozen=True)
class ShapeRecipe:
    """Settings of the pieces; `variety` is the spread of proportions: more is harder, 0 gives one size a kind."""

    seed: int = 0
    train: int = 100
    test: int = 30
    variety: float = 1.0
    version: int = 1  # raise it when any piece changes


def build_shape(classname: str, generator: np.random.Generator, variety: float = 1.0) -> Mesh:
    """Return one piece of furniture of the given kind, standing on z = 0, about one unit in size."""
    piece = Workpiece(generator, variety)
    _BUILDERS[classname](piece)
    return piece.mesh()


def write_shapes(folder: Path, recipe: ShapeRecipe, on_step: Callable[[int], None]) -> None:
    """Write `<class>/{train,test}/<class>_0001.off` under `folder`, unless the same recipe has been written there.

    The folder appears complete or not at all; `on_step` is called for each file.
    """
    text = json.dumps(asdict(recipe), sort_keys=True)
    if (folder / _RECIPE).exists() and (folder / _RECIPE).read_text(encoding="utf-8") == text:
        return
    try:
        with scratch_folder(folder.parent) as scratch:
            fresh = scratch / folder.name
            _write_all(fresh, recipe, on_step)
            (fresh / _RECIPE).write_text(text, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def _write_all(folder: Path, recipe: ShapeRecipe, on_step: Callable[[int], None]) -> None:
    for label, classname in enumerate(SHAPES.classnames):
        for split, count in (("train", recipe.train), ("test", recipe.test)):
            place = folder / classname / split
            make_folder(place)
            first = 1 if split == "train" else recipe.train + 1
            for number in range(first, first + count):
                generator = np.random.default_rng([recipe.seed, label, number])
                write_off(place / f"{classname}_{number:04d}.off", build_shape(classname, generator, recipe.variety))
                on_step(1)


def _legs(piece: Workpiece, width: float, depth: float, height: float, thick: float) -> None:
    """Add the support of a top: four legs, two panels, two sledges or one foot."""
    style = piece.generator.random()
    x, y = width / 2 - thick, depth / 2 - thick
    if style < 0.55:
        for sign_x, sign_y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            if piece.chance(0.5):
                piece.rod((sign_x * x, sign_y * y, 0), thick / 2, height)
            else:
                piece.box((sign_x * x, sign_y * y, 0), (thick, thick, height))
    elif style < 0.7:
        for sign in (-1, 1):
            piece.box((sign * x, 0, 0), (thick, depth * 0.9, height))
    elif style < 0.85:
        for sign in (-1, 1):
            piece.box((sign * x, 0, 0), (thick, depth * 0.9, thick))
            piece.box((sign * x, 0, thick), (thick, thick, height - thick))
    else:
        piece.rod((0, 0, 0), min(width, depth) * piece.between(0.25, 0.45), thick)
        piece.rod((0, 0, thick), thick * piece.between(0.6, 1.2), height - thick)


def _top(piece: Workpiece, width: float, depth: float, at: float, thick: float, round_odds: float) -> None:
    if piece.chance(round_odds):
        piece.rod((0, 0, at), (width + depth) / 4, thick)
    else:
        piece.box((0, 0, at), (width, depth, thick))


def _back(piece: Workpiece, width: float, y: float, at: float, height: float) -> None:
    """Add an inclined backrest: solid, slats, or a rail on two posts."""
    thick, lean = piece.between(0.03, 0.08), piece.between(0.0, 0.12)
    style = piece.generator.random()
    if style < 0.5:
        piece.box((0, y, at), (width, thick, height), lean)
        return
    for sign in (-1, 1):
        piece.box((sign * (width - thick) / 2, y, at), (thick, thick, height), lean)
    rail = height * piece.between(0.15, 0.4)
    piece.box((0, y + lean * (1 - rail / height), at + height - rail), (width, thick, rail), lean * rail / height)
    for x in np.linspace(-width / 2, width / 2, piece.count(2, 5) + 2)[1:-1] if style < 0.8 else ():
        piece.box((float(x), y, at), (thick, thick, height - rail), lean * (1 - rail / height))


def _table(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.7, 1.8), piece.between(0.6, 1.0), piece.between(0.4, 0.85)
    thick = piece.between(0.03, 0.08)
    _legs(piece, width, depth, height, piece.between(0.04, 0.1))
    _top(piece, width, depth, height, thick, 0.25)
    if piece.chance(0.25):
        piece.box((0, 0, height * piece.between(0.2, 0.5)), (width * 0.8, depth * 0.8, thick))


def _desk(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.9, 1.8), piece.between(0.5, 0.9), piece.between(0.6, 0.85)
    _legs(piece, width, depth, height, piece.between(0.04, 0.08))
    piece.box((0, 0, height), (width, depth, piece.between(0.03, 0.07)))
    side = piece.between(0.25, 0.45)
    drawers = height * piece.between(0.25, 1.0)
    x = (width - side) / 2 * (1 if piece.chance(0.5) else -1)
    if piece.chance(0.8):
        piece.box((x, 0, height - drawers), (side, depth * 0.9, drawers))
        if piece.chance(0.35):
            piece.box((-x, 0, height - drawers), (side, depth * 0.9, drawers))
    if piece.chance(0.6):
        panel = height * piece.between(0.4, 0.9)
        piece.box((0, depth * 0.42, height - panel), (width * 0.9, 0.03, panel))
    if piece.chance(0.25):
        piece.box((0, depth * 0.35, height), (width, depth * 0.25, piece.between(0.15, 0.4)))


def _bench(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.8, 1.8), piece.between(0.3, 0.6), piece.between(0.35, 0.6)
    thick = piece.between(0.04, 0.09)
    _legs(piece, width, depth, height, piece.between(0.04, 0.1))
    _top(piece, width, depth, height, thick, 0.0)
    if piece.chance(0.45):
        _back(piece, width, depth * 0.45, height + thick, piece.between(0.2, 0.55))


def _stool(piece: Workpiece) -> None:
    width, height = piece.between(0.3, 0.55), piece.between(0.35, 0.85)
    depth = width * piece.between(0.8, 1.2)
    thick = piece.between(0.03, 0.12)
    _legs(piece, width, depth, height, piece.between(0.03, 0.07))
    _top(piece, width, depth, height, thick, 0.5)
    if piece.chance(0.4):
        piece.box((0, 0, height * piece.between(0.2, 0.5)), (width * 0.8, depth * 0.8, 0.03))
    if piece.chance(0.2):
        _back(piece, width, depth * 0.45, height + thick, piece.between(0.08, 0.25))


def _chair(piece: Workpiece) -> None:
    width, height = piece.between(0.4, 0.7), piece.between(0.35, 0.6)
    depth, thick = width * piece.between(0.8, 1.2), piece.between(0.03, 0.12)
    _legs(piece, width, depth, height, piece.between(0.03, 0.08))
    _top(piece, width, depth, height, thick, 0.15)
    _back(piece, width, depth * 0.45, height + thick, piece.between(0.15, 0.7))
    if piece.chance(0.35):
        for sign in (-1, 1):
            arm = piece.between(0.15, 0.28)
            piece.box((sign * width / 2, 0, height + arm), (0.05, depth * 0.9, 0.04))
            piece.box((sign * width / 2, -depth * 0.35, height), (0.05, 0.05, arm))


def _sofa(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.8, 2.2), piece.between(0.7, 1.0), piece.between(0.2, 0.45)
    foot = piece.between(0.0, 0.12)
    piece.box((0, 0, foot), (width, depth, height))
    piece.box((0, depth * 0.4, foot + height), (width, depth * 0.2, piece.between(0.2, 0.5)), piece.between(0, 0.1))
    arm, rise = piece.between(0.08, 0.25), piece.between(0.05, 0.3)
    for sign in (-1, 1):
        if piece.chance(0.85):
            piece.box((sign * (width - arm) / 2, 0, foot + height), (arm, depth, rise))
    if piece.chance(0.2):
        piece.box((width * 0.3, -depth * 0.8, foot), (width * 0.4, depth * 0.6, height))
    for x in (-1, 1):
        piece.rod((x * width * 0.45, -depth * 0.4, 0), 0.03, foot + 0.01)


def _bed(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.8, 1.9), piece.between(1.4, 2.1), piece.between(0.15, 0.4)
    foot = piece.between(0.0, 0.25)
    piece.box((0, 0, foot), (width, depth, height))
    if piece.chance(0.85):
        piece.box((0, depth / 2, 0), (width, 0.06, foot + height + piece.between(0.1, 0.7)))
    if piece.chance(0.35):
        piece.box((0, -depth / 2, 0), (width, 0.06, foot + height + piece.between(0.0, 0.35)))
    for x in (-1, 1) if piece.chance(0.6) else ():
        piece.box((x * width / 4, depth * 0.38, foot + height), (width * 0.35, depth * 0.15, 0.1))
    for sign_x, sign_y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        piece.box((sign_x * width * 0.45, sign_y * depth * 0.45, 0), (0.07, 0.07, foot + 0.01))


def _shelf(piece: Workpiece) -> None:
    width, depth, height = piece.between(0.5, 1.5), piece.between(0.25, 0.6), piece.between(0.6, 2.0)
    thick = piece.between(0.02, 0.06)
    for sign in (-1, 1):
        piece.box((sign * width / 2, 0, 0), (thick, depth, height))
    for z in np.linspace(0, height - thick, piece.count(2, 6)):
        piece.box((0, 0, float(z)), (width, depth, thick))
    if piece.chance(0.5):
        piece.box((0, depth / 2, 0), (width, thick, height))
    if piece.chance(0.3):
        piece.box((0, 0, 0), (width, depth, height * piece.between(0.15, 0.5)))


def _lamp(piece: Workpiece) -> None:
    base, height = piece.between(0.1, 0.3), piece.between(0.4, 1.6)
    thick, pole = piece.between(0.02, 0.08), piece.between(0.015, 0.06)
    _top(piece, 2 * base, 2 * base, 0, thick, 0.7)
    piece.rod((0, 0, thick), pole, height)
    shade, radius = piece.between(0.12, 0.4), piece.between(0.12, 0.4)
    x = piece.between(0.2, 0.5) if piece.chance(0.35) else 0.0
    if x:
        piece.box((x / 2, 0, height), (x, pole, pole))
    piece.rod((x, 0, height + thick - shade / 2), radius, shade, radius * piece.between(0.3, 1.0))


def _monitor(piece: Workpiece) -> None:
    width, height = piece.between(0.5, 1.0), piece.between(0.3, 0.65)
    thick, neck = piece.between(0.02, 0.15), piece.between(0.02, 0.3)
    base = piece.between(0.1, 0.25)
    _top(piece, 2 * base, 1.5 * base, 0, 0.02, 0.5)
    piece.box((0, 0.02, 0), (piece.between(0.04, 0.15), 0.04, neck + height / 2))
    piece.box((0, -0.02, neck), (width, thick, height), piece.between(-0.05, 0.1))
    if piece.chance(0.3):
        piece.box((0, thick, neck + height * 0.2), (width * 0.6, thick * 2, height * 0.6))


_BUILDERS: dict[str, Callable[[Workpiece], None]] = {
    "bed": _bed, "bench": _bench, "chair": _chair, "desk": _desk, "lamp": _lamp,
    "monitor": _monitor, "shelf": _shelf, "sofa": _sofa, "stool": _stool, "table": _table,
}  # fmt: skip
