"""Make the small files of examples/: four pieces of furniture, a digit and a turning chair before an event camera.

    python scripts/make_examples.py [FOLDER]        writes to examples/ by default

Everything is drawn by the program, so the files are as free as the program is. The same numbers come out each time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikecli.datasets.clouds.geometry import Mesh, face_normals, sample_faces
from spikecli.datasets.clouds.solids import Workpiece, write_off
from spikecli.datasets.events.camera import Camera, film
from spikecli.datasets.events.digits import digit_pictures
from spikecli.datasets.events.formats import write_bin
from spikecli.datasets.events.recording import EVENT

ROOT = Path(__file__).parents[1]
SIDE = 128  # pixels of the sensor before which the chair turns
TURN = 1_500_000  # µs of one turn
LOOKS = 180  # of the camera in one turn
THRESHOLD = 1.0  # of log brightness, at which a pixel fires
SEVEN = 1  # which seven of the recorded half of scikit-learn's digits


def chair(piece: Workpiece) -> None:
    """Add a chair with armrests."""
    _legs(piece, 0.26, 0.26, 0.45)
    piece.box((0, 0, 0.45), (0.58, 0.58, 0.06))
    piece.box((0, 0.26, 0.51), (0.58, 0.05, 0.5), 0.06)
    for side in (-1, 1):
        piece.box((side * 0.27, 0, 0.7), (0.05, 0.5, 0.04))
        piece.box((side * 0.27, -0.22, 0.51), (0.05, 0.05, 0.2))


def table(piece: Workpiece) -> None:
    """Add a table with four legs."""
    _legs(piece, 0.75, 0.42, 0.7)
    piece.box((0, 0, 0.7), (1.7, 1.0, 0.05))


def bed(piece: Workpiece) -> None:
    """Add a bed with a headboard and two pillows."""
    piece.box((0, 0, 0.2), (1.6, 2.0, 0.3))
    piece.box((0, 1.0, 0.0), (1.6, 0.08, 1.0))
    for side in (-1, 1):
        piece.box((side * 0.4, 0.75, 0.5), (0.6, 0.35, 0.1))
    _legs(piece, 0.72, 0.92, 0.2)


def toilet(piece: Workpiece) -> None:
    """Add a toilet: a foot, a bowl that widens, a seat and a cistern."""
    piece.rod((0, 0, 0), 0.13, 0.2, 0.11)
    piece.rod((0, 0, 0.2), 0.11, 0.2, 0.22)
    piece.rod((0, -0.02, 0.4), 0.23, 0.04)
    piece.box((0, 0.2, 0), (0.2, 0.3, 0.38))
    piece.box((0, 0.33, 0.38), (0.46, 0.2, 0.4))
    piece.box((0, 0.33, 0.78), (0.5, 0.22, 0.04))


PIECES: dict[str, Callable[[Workpiece], None]] = {"chair": chair, "table": table, "bed": bed, "toilet": toilet}


def _legs(piece: Workpiece, x: float, y: float, height: float) -> None:
    for across in (-x, x):
        for along in (-y, y):
            piece.box((across, along, 0), (0.06, 0.06, height))


def built(name: str) -> Mesh:
    """Return one of the pieces as a mesh."""
    piece = Workpiece(np.random.default_rng(0), 0.0)
    PIECES[name](piece)
    return piece.mesh()


def looks(mesh: Mesh) -> np.ndarray:
    """Return pictures (LOOKS + 1, SIDE, SIDE) in 0 … 1 of a mesh that turns once under a lamp."""
    generator = np.random.default_rng(0)
    points, faces = sample_faces(mesh, 90_000, generator)
    normals = face_normals(mesh, faces)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    points = points / np.linalg.norm(points, axis=1).max()
    found = []
    for angle in np.linspace(0, 2 * np.pi, LOOKS + 1):
        c, s = np.cos(angle), np.sin(angle)
        turned = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        bright = 0.35 + 0.65 * np.abs((normals @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])) @ (0.5, -0.8, 0.33))
        order = np.argsort(-turned[:, 1])  # far to near: what is near hides what is behind it
        column = ((turned[order, 0] * 1.05 + turned[order, 1] * 0.1 + 1) / 2 * SIDE).astype(int).clip(0, SIDE - 1)
        row = ((1 - turned[order, 2] * 0.95 + turned[order, 1] * 0.25) / 2 * SIDE).astype(int).clip(0, SIDE - 1)
        picture = np.zeros((SIDE, SIDE))
        picture[row, column] = bright[order]
        found.append(picture)
    return np.stack(found)


def recorded(pictures: np.ndarray) -> np.ndarray:
    """Return the events (EVENT dtype) at which a pixel's log brightness has moved by the threshold."""
    brightness = np.log(0.12 + 0.88 * pictures)
    reference, step = brightness[0].copy(), TURN / LOOKS
    generator, parts = np.random.default_rng(0), []
    for look, now in enumerate(brightness[1:]):
        crossed = np.trunc((now - reference) / THRESHOLD)
        y, x = np.nonzero(crossed)
        events = np.zeros(len(x), EVENT)
        events["x"], events["y"], events["p"] = x, y, crossed[y, x] > 0
        events["t"] = (look + generator.random(len(x))) * step
        parts.append(np.sort(events, order="t"))
        reference += crossed * THRESHOLD
    return np.concatenate(parts)


def seven() -> np.ndarray:
    """Return the events of a seven, a picture that the built-in set records as well."""
    pictures, labels = digit_pictures(slice(898, 1797))
    chosen = int(np.flatnonzero(labels == 7)[SEVEN])
    return film(pictures[chosen : chosen + 1], Camera(), 0, np.array([898 + chosen]))[0]


def main(folder: Path) -> None:
    """Write every file."""
    for name in PIECES:
        write_off(folder / f"{name}.off", built(name))
    write_bin(folder / "seven.bin", seven())
    write_bin(folder / "turning_chair.bin", recorded(looks(built("chair"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "examples")
