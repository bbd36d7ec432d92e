"""Pieces of furniture made of boxes, as meshes."""

from __future__ import annotations

from pathlib import Path

Box = tuple[float, float, float, float, float, float]  # x, y and z, each from and to


def mesh(path: Path, boxes: list[Box]) -> Path:
    """Write boxes as a mesh of quadrilaterals."""
    corners, faces = [], []
    for x0, x1, y0, y1, z0, z1 in boxes:
        first = len(corners)
        corners += [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]
        for face in ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)):
            faces.append([first + corner for corner in face])
    lines = [" ".join(map(str, corner)) for corner in corners] + [f"4 {' '.join(map(str, face))}" for face in faces]
    path.write_text("\n".join(["OFF", f"{len(corners)} {len(faces)} 0", *lines]) + "\n")
    return path


def legs(x: float, y: float, height: float) -> list[Box]:
    return [(a - 0.03, a + 0.03, b - 0.03, b + 0.03, 0, height) for a in (-x, x) for b in (-y, y)]


def table(path: Path) -> Path:
    return mesh(path, [*legs(0.8, 0.5, 0.7), (-0.85, 0.85, -0.55, 0.55, 0.7, 0.75)])


def chair(path: Path) -> Path:
    seat, back = (-0.27, 0.27, -0.27, 0.27, 0.45, 0.5), (-0.27, 0.27, 0.23, 0.27, 0.5, 1.0)
    return mesh(path, [*legs(0.25, 0.25, 0.45), seat, back])


def bed(path: Path) -> Path:
    mattress, headboard = (-0.8, 0.8, -1.0, 1.0, 0.2, 0.5), (-0.8, 0.8, 0.95, 1.05, 0.0, 1.0)
    return mesh(path, [mattress, headboard, *legs(0.75, 0.95, 0.2)])
