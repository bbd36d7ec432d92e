"""Reading files of points and meshes: this package against Open3D, in one run on the same files.

    python benchmarks/bench_cloud_files.py

A text PLY mesh of 100,000 points and 200,000 faces, and a compressed PCD of 200,000 points. Each median of five
rounds counts processor time; the points of both are compared. Open3D is native code on one thread here.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open3d

from spikecli.datasets.clouds.formats import Mesh, read_cloud

ROUNDS, POINTS = 5, 100_000


def write_ply(path: Path, rng: np.random.Generator) -> Path:
    """Write a text PLY mesh of random points, and twice as many random triangles."""
    points, faces = rng.normal(size=(POINTS, 3)), rng.integers(0, POINTS, (2 * POINTS, 3))
    with path.open("w") as file:
        file.write(f"ply\nformat ascii 1.0\nelement vertex {POINTS}\n")
        file.write("property float x\nproperty float y\nproperty float z\n")
        file.write(f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n")
        np.savetxt(file, points, "%.6f")
        np.savetxt(file, np.c_[np.full(len(faces), 3), faces], "%d")
    return path


def write_pcd(path: Path, rng: np.random.Generator) -> Path:
    """Write a compressed PCD of random points on a grid of 1/64, which LZF makes smaller."""
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(np.round(64 * rng.normal(size=(2 * POINTS, 3))) / 64)
    open3d.io.write_point_cloud(str(path), cloud, compressed=True)
    return path


def _ours(path: Path) -> np.ndarray:
    found = read_cloud(path)
    return np.asarray(found.vertices if isinstance(found, Mesh) else found.points)


def _mesh(path: Path) -> np.ndarray:
    return np.asarray(open3d.io.read_triangle_mesh(str(path)).vertices)


def _cloud(path: Path) -> np.ndarray:
    return np.asarray(open3d.io.read_point_cloud(str(path)).points)


def _seconds(read: Callable[[Path], np.ndarray], path: Path) -> tuple[np.ndarray, float]:
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        found = read(path)
        rounds.append(time.process_time() - start)
    return found, statistics.median(rounds)


def main() -> None:
    """Print seconds of each reader on each file."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path, theirs in (
            (write_ply(folder / "mesh.ply", rng), _mesh),
            (write_pcd(folder / "compressed.pcd", rng), _cloud),
        ):
            (mine, seconds), (other, theirs_seconds) = _seconds(_ours, path), _seconds(theirs, path)
            np.testing.assert_allclose(mine, other, atol=1e-5)
            ratio = seconds / theirs_seconds
            sys.stdout.write(f"{path.name}: ours {seconds:.3f} s, open3d {theirs_seconds:.3f} s, ratio {ratio:.2f}\n")


if __name__ == "__main__":
    main()
