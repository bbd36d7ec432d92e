"""Meshes and clouds: sampling of surfaces, farthest points, scaling to the unit sphere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikecli.datasets.clouds.normals import joined, unit_normals
from spikecli.datasets.reading_options import Axis
from spikecli.errors import SpikeError

Sampling = Literal["uniform", "fps"]

_HEIGHT = 7  # of the tree in which farthest points are sought
_SMALL = 2**_HEIGHT
DENSE = 10_000  # points drawn on a mesh before farthest-point sampling thins them out


@dataclass(frozen=True)
class Mesh:
    """A surface: `vertices` float64 (V, 3) and `faces` int64 (F, 3), each a triangle of vertex numbers."""

    vertices: np.ndarray
    faces: np.ndarray
    notes: tuple[str, ...] = ()  # what was guessed or left out when the file was read


@dataclass(frozen=True)
class Cloud:
    """Points in space: `points` float32 (N, 3), or (N, 6) with a normal after each position."""

    points: np.ndarray
    notes: tuple[str, ...] = ()  # what was guessed or left out when the file was read


def turned(shape: Mesh | Cloud, up: Axis | None) -> Mesh | Cloud:
    """Return `shape` turned by 90° so that its axis `up` points along z, as in ModelNet; unchanged for z and None."""
    if up is None or up == "z":
        return shape
    # About x: (x, y, z) → (x, −z, y). About y: (x, y, z) → (−z, y, x).
    order, signs = ([0, 2, 1], (1, -1, 1)) if up == "y" else ([2, 1, 0], (-1, 1, 1))
    if isinstance(shape, Mesh):
        return replace(shape, vertices=shape.vertices[:, order] * signs)
    parts = [shape.points[:, start : start + 3][:, order] for start in range(0, shape.points.shape[1], 3)]
    return replace(shape, points=np.concatenate([part * np.array(signs, dtype=np.float32) for part in parts], axis=1))


def few_points(shape: Mesh | Cloud, count: int) -> str | None:
    """Return a note for a cloud of fewer than `count` points, whose points are drawn more than once; else None."""
    if isinstance(shape, Mesh) or len(shape.points) >= count:
        return None
    return f"holds {len(shape.points):,} points for {count:,}: some are taken more than once"


def sample_surface(mesh: Mesh, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` points float64 (count, 3), uniform over the mesh's area; raise SpikeError if the area is zero."""
    return sample_faces(mesh, count, generator)[0]


def sample_faces(mesh: Mesh, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points as `sample_surface` does, and the number of the face that each lies on, int64 (count,).

    Raise SpikeError if the area is zero.
    """
    corners = mesh.vertices - mesh.vertices.mean(axis=0)
    a, b, c = (corners[mesh.faces[:, corner]] for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    reach = np.cumsum(areas)
    if not reach.size or not reach[-1] > 0:
        raise SpikeError("found a mesh of zero area; wanted a surface; remove the file or mend it in a mesh editor")
    drawn = np.searchsorted(reach, generator.random(count) * reach[-1], side="right")
    chosen = np.minimum(drawn, np.flatnonzero(areas)[-1])
    # The square root spreads the points evenly over a triangle instead of crowding them at one corner.
    root = np.sqrt(generator.random(count))[:, None]
    along = generator.random(count)[:, None]
    return a[chosen] * (1 - root) + b[chosen] * (root * (1 - along)) + c[chosen] * (root * along), chosen


def face_normals(mesh: Mesh, faces: np.ndarray) -> np.ndarray:
    """Return the unit normals float64 (n, 3) of the faces of these numbers (n,), by the order of their corners."""
    a, b, c = (mesh.vertices[mesh.faces[faces, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def farthest_points(points: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return the numbers, int64 (count,), of points far from one another, in the order in which they are found.

    Every prefix of the answer is itself such a choice. Raise SpikeError if `points` has fewer than `count` rows.
    """
    from fpsample import bucket_fps_kdline_sampling, fps_sampling

    if len(points) < count:
        raise SpikeError(f"found {len(points)} points, wanted {count}; ask for {len(points)} or fewer")
    centred = points[:, :3] - points[:, :3].mean(axis=0)
    if len(points) < _SMALL:
        return fps_sampling(centred, count, start_idx=int(generator.integers(len(points)))).astype(np.int64)
    # The fast way ignores where it is told to start; shuffling first makes the start a draw of our generator.
    order = generator.permutation(len(points))
    found = bucket_fps_kdline_sampling(centred[order], count, h=_HEIGHT, start_idx=0)
    return order[found.astype(np.int64)]


def normalize_unit_sphere(points: np.ndarray) -> np.ndarray:
    """Return `points` (…, N, 3) as float32, each cloud centred on its mean with its farthest point at distance one.

    Of points with normals (…, N, 6) the positions are; the normals stay. Raise SpikeError if all points of a cloud are
    equal, or a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise SpikeError("found a coordinate that is not a finite number; remove the point or the file")
    places, normals = points[..., :3], points[..., 3:]
    centred = places.astype(np.float64) - places.mean(axis=-2, keepdims=True, dtype=np.float64)
    radius = np.sqrt(np.square(centred).sum(axis=-1).max(axis=-1))[..., None, None]
    extent = np.abs(places).max(initial=0)
    if not (radius > 1e-9 * extent).all() or not radius.all():
        raise SpikeError("found points that are all equal; wanted a shape; remove the file")
    unit = (centred / radius).astype(np.float32)
    return np.concatenate([unit, normals.astype(np.float32)], axis=-1) if normals.shape[-1] else unit


def draw_points(
    shape: Mesh | Cloud, count: int, sampling: Sampling, generator: np.random.Generator, normals: bool = False
) -> np.ndarray:
    """Return `count` points of `shape`, float32 (count, 3), centred and in the unit sphere; with `normals` (count, 6).

    The order is random (`uniform`) or that of farthest-point sampling (`fps`), so the first n points are a fair subset.
    A cloud of fewer points gives all of them, then all of them again in another order, until there are `count`. The
    same points are drawn with normals and without. Raise SpikeError if it is no shape, or has no normals.
    """
    points, facing = draw_facing(shape, count, sampling, generator)
    return joined(points, facing) if normals else points


def points_as_given(
    shape: Mesh | Cloud, count: int, sampling: Sampling, generator: np.random.Generator, normals: bool = False
) -> np.ndarray:
    """Return points as `draw_points` does; a cloud of just `count` points keeps its order, and nothing is drawn.

    So a sample of a prepared data set, written to a file, is what it was: DeLA begins with its first point.
    """
    if isinstance(shape, Cloud) and len(shape.points) == count and sampling == "uniform":
        points = normalize_unit_sphere(shape.points[:, :3])
        return joined(points, unit_normals(shape.points)) if normals else points
    return draw_points(shape, count, sampling, generator, normals)


def draw_facing(
    shape: Mesh | Cloud, count: int, sampling: Sampling, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return points as `draw_points` does, and their unit normals (count, 3), or None if they are unknown.

    A mesh has the normals of its faces; a cloud may bring normals with its points.
    """
    faces = None
    if isinstance(shape, Mesh):
        wanted = count if sampling == "uniform" else max(DENSE, 4 * count)
        points, faces = sample_faces(shape, wanted, generator)
    else:
        points = shape.points[:, :3]
    if sampling == "fps":
        chosen = farthest_points(points, min(count, len(points)), generator)
    else:
        chosen = generator.permutation(len(points))[:count]
    while len(chosen) < count:
        chosen = np.concatenate([chosen, generator.permutation(len(points))[: count - len(chosen)]])
    drawn = normalize_unit_sphere(points[chosen])
    if isinstance(shape, Mesh):
        assert faces is not None
        return drawn, face_normals(shape, faces[chosen])
    return drawn, unit_normals(shape.points[chosen])
