"""Boxes and rods, joined into one mesh and written as an OFF file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Mesh

_BOX_CORNERS = np.array([(x, y, z) for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
_BOX_FACES = np.array(
    [(0, 2, 3), (0, 3, 1), (4, 5, 7), (4, 7, 6), (0, 1, 5), (0, 5, 4), (2, 6, 7), (2, 7, 3), (0, 4, 6), (0, 6, 2),
     (1, 3, 7), (1, 7, 5)]
)  # fmt: skip
_SIDES = 16  # of a rod's cross-section


class Workpiece:
    """A piece under construction: it draws proportions from a generator and collects solids.

    Heights run along z, widths along x, depths along y; a solid stands on its lower face's center.
    """

    def __init__(self, generator: np.random.Generator, variety: float) -> None:
        self.generator = generator
        self.variety = variety
        self.parts: list[Mesh] = []

    def between(self, low: float, high: float) -> float:
        """Return a number around the middle of `low` and `high`; at variety 1 it covers the whole range."""
        reach = (high - low) / 2 * min(self.variety, 1)
        return float(self.generator.uniform((low + high) / 2 - reach, (low + high) / 2 + reach))

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return bool(self.generator.random() < probability)

    def count(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return int(self.generator.integers(low, high + 1))

    def box(self, at: tuple[float, float, float], size: tuple[float, float, float], lean: float = 0.0) -> None:
        """Add a box of `size` that stands at `at`; `lean` moves its top along y, as a backrest leans."""
        corners = _BOX_CORNERS * size
        corners[:, 1] += lean * _BOX_CORNERS[:, 2]
        self.parts.append(Mesh(corners + at, _BOX_FACES))

    def rod(self, at: tuple[float, float, float], radius: float, height: float, top: float | None = None) -> None:
        """Add a closed rod of `radius`, that ends at radius `top`, standing at `at`."""
        angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(_SIDES)], axis=1)
        upper = (radius if top is None else top) * ring + (0, 0, height)
        corners = np.concatenate([radius * ring, upper, [(0, 0, 0), (0, 0, height)]])
        here, there = np.arange(_SIDES), (np.arange(_SIDES) + 1) % _SIDES
        low, high = np.full(_SIDES, 2 * _SIDES), np.full(_SIDES, 2 * _SIDES + 1)
        faces = [(here, there, there + _SIDES), (here, there + _SIDES, here + _SIDES), (there, here, low)]
        faces.append((here + _SIDES, there + _SIDES, high))
        self.parts.append(Mesh(corners + at, np.concatenate([np.stack(face, axis=1) for face in faces])))

    def mesh(self) -> Mesh:
        """Return the solids as one mesh, stretched along each axis and rotated slightly about the vertical."""
        stretch = np.exp(0.2 * self.variety * self.generator.uniform(-1, 1, 3))
        turn = np.deg2rad(15) * self.variety * self.generator.uniform(-1, 1)
        rotation = np.array([(np.cos(turn), -np.sin(turn), 0), (np.sin(turn), np.cos(turn), 0), (0, 0, 1)])
        starts = np.cumsum([0] + [len(part.vertices) for part in self.parts])
        vertices = np.concatenate([part.vertices for part in self.parts]) * stretch @ rotation.T
        faces = [part.faces + start for part, start in zip(self.parts, starts[:-1], strict=True)]
        return Mesh(vertices, np.concatenate(faces))


def write_off(path: Path, mesh: Mesh) -> None:
    """Write a mesh of triangles as an OFF file, coordinates to six places."""
    vertices = "\n".join(f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices.tolist())
    faces = "\n".join(f"3 {a} {b} {c}" for a, b, c in mesh.faces.tolist())
    path.write_text(f"OFF\n{len(mesh.vertices)} {len(mesh.faces)} 0\n{vertices}\n{faces}\n", encoding="ascii")
