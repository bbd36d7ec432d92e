"""Cloud files of public bug reports, each read with its right values or refused with its true reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikecli.datasets.clouds.formats import Cloud, Mesh, read_cloud
from spikecli.errors import SpikeError

TRUTH = np.random.default_rng(0).normal(size=(1500, 3)) * [1, 2, 3]  # the cloud behind most files


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("t_xyzrgb.txt", ["columns 4 to 6 are not read"]),
        ("t_xyzi.txt", ["column 4 is not read"]),
        ("t_bom.txt", []),
        ("t_deccomma.txt", []),
        ("t_count.txt", []),
        ("t_csvheader.txt", []),
        ("t_ccheader.txt", []),
        ("cloud_vertex_list.ply", []),
        ("dup_quality_bin.ply", []),
        ("comment_end_header.ply", []),
        ("mac_cr.ply", []),
        ("ouster_count0.pcd", []),
        ("000001.bin", ["4 numbers a point"]),
        ("nan_normals.ply", ["1 normals are not finite"]),
        ("n_f16.npy", []),
    ],
)
def test_each_is_the_cloud_behind_it(faults: Path, name: str, notes: list[str]) -> None:
    found = read_cloud(faults / name)
    assert isinstance(found, Cloud) and len(found.notes) == len(notes)
    assert all(words in note for words, note in zip(notes, found.notes, strict=True))
    np.testing.assert_allclose(found.points[:, :3], TRUTH, rtol=1e-3 if "f16" in name else 1e-5, atol=1e-6)
    assert found.points.shape[1] == (6 if name == "nan_normals.ply" else 3)


def test_points_that_are_not_finite_are_left_out(faults: Path) -> None:
    found = read_cloud(faults / "organized_nan.pcd")
    assert isinstance(found, Cloud) and found.notes == ("215 of 1,500 points are not finite and are left out",)
    kept = (np.abs(found.points[:, None] - TRUTH.astype("f4")) < 1e-5).all(axis=2)
    assert kept.any(axis=1).all() and len(found.points) == 1285


def test_strips_and_vertices_with_lists_are_meshes(faults: Path) -> None:
    corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]]
    strips = read_cloud(faults / "tristrips.ply")  # 0 1 4 2 3, 0 1 2 and 3 0: every second triangle is turned over
    assert isinstance(strips, Mesh)
    np.testing.assert_array_equal(strips.vertices, corners)
    assert strips.faces.tolist() == [[0, 1, 4], [4, 1, 2], [4, 2, 3], [0, 1, 2]]
    plain = read_cloud(faults / "mesh_vertex_list.ply")
    assert isinstance(plain, Mesh) and len(plain.faces) == 2
    np.testing.assert_array_equal(plain.vertices, corners)


def test_what_cannot_be_understood_is_refused(faults: Path) -> None:
    with pytest.raises(SpikeError, match="line 'property float scan angle'"):
        read_cloud(faults / "property_with_space.ply")


def test_twins_and_classes_of_one_cloud(cli: Callable, faults: Path, tmp_path: Path) -> None:
    twins = cli("data", "prepare", "modelnet10", "--from", faults / "modelnet_twins", "--data-dir", tmp_path / "a")
    assert (twins.code == 1 and "twice" in twins.err) or "copy" in twins.err
    given = ("data", "prepare", "modelnet10", "--from", faults / "modelnet_one_each", "--data-dir", tmp_path / "b")
    one = cli(*given, "--points", 32, "--json")
    assert one.code == 0 and one.document["samples"] == {"train": 10, "test": 10}


def test_preparing_says_once_what_was_resampled(cli: Callable, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for index in range(3):
            np.save(tmp_path / "mine" / name / f"{name}{index}.npy", TRUTH[: 20 + index])
    given = ("data", "prepare", "scans", "--from", tmp_path / "mine", "--points", 64, "--data-dir", tmp_path)
    done = cli(*given, "--json")
    assert done.code == 0, done.err
    said = [note for note in done.document["notes"] if "points for 64" in note]
    assert len(said) == 1 and said[0].endswith("some are taken more than once (and 5 more like it)")
