"""The one folder walker: links, clutter, loops, twins, and what identifies a source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spikecli.datasets.walk import identify, original_of, refuse_twins, walk
from spikecli.errors import SpikeError


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(folder: Path, *suffixes: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk(folder, suffixes)]


def test_clutter_is_left_out_and_suffixes_are_of_any_case(tmp_path: Path) -> None:
    for name in ("b/2.BIN", "b/1.bin", "a/x.Bin", "a/notes.txt"):
        write(tmp_path / name)
    for name in (".hidden/1.bin", "__MACOSX/1.bin", ".Trash-0/1.bin", "a/.DS_Store", "a/Thumbs.db", "a/._x.bin"):
        write(tmp_path / name)
    assert names(tmp_path, ".bin") == ["a/x.Bin", "b/1.bin", "b/2.BIN"]
    assert names(tmp_path) == ["a/notes.txt", "a/x.Bin", "b/1.bin", "b/2.BIN"]


def test_links_are_followed_and_loops_refused(tmp_path: Path) -> None:
    write(tmp_path / "real" / "5" / "1.bin")
    folder = tmp_path / "set"
    write(folder / "4" / "1.bin")
    (folder / "5").symlink_to(tmp_path / "real" / "5")
    (folder / "4" / "2.bin").symlink_to(tmp_path / "real" / "5" / "1.bin")
    assert names(folder) == ["4/1.bin", "4/2.bin", "5/1.bin"]
    (folder / "4" / "again").symlink_to(folder)
    with pytest.raises(SpikeError, match=r"4/again, which leads back to a folder above it; remove the link"):
        walk(folder)
    (folder / "4" / "again").unlink()
    (folder / "4" / "gone.bin").symlink_to(tmp_path / "nothing")
    with pytest.raises(SpikeError, match=r"gone\.bin, which leads nowhere"):
        walk(folder)


def test_a_source_changes_with_what_its_links_lead_to(tmp_path: Path) -> None:
    target, folder = write(tmp_path / "real" / "1.bin", "one"), tmp_path / "set"
    folder.mkdir()
    (folder / "1.bin").symlink_to(target)
    (folder / "more").symlink_to(tmp_path / "real")
    before = identify(folder)
    assert identify(folder) == before and before.startswith("set listing:")
    write(folder / ".DS_Store")
    assert identify(folder) == before
    write(target, "three")
    after = identify(folder)
    assert after != before
    os.utime(target, ns=(1, 1))
    assert identify(folder) != after
    with pytest.raises(SpikeError, match="found nothing at"):
        identify(tmp_path / "none")


def test_twins_are_refused(tmp_path: Path) -> None:
    def check(*found: str) -> None:
        refuse_twins(map(Path, found), lambda path: (path.parent.name, path.stem), lambda path: path)

    check("bed/1.off", "bed/2.off", "sofa/1.off", "bed/3 (1).off")
    for pair in (("bed/1.off", "bed/1.txt"), ("bed/1.off", "bed/1 (1).off"), ("bed/1 - Copy.off", "bed/1.off")):
        with pytest.raises(SpikeError, match=r"found bed/1.* and bed/1.*the same sample twice"):
            check(*pair)
    original = write(tmp_path / "ply_data_test0.h5")
    assert original_of(write(tmp_path / "ply_data_test0 (1).h5")) == original
    assert original_of(original) is None and original_of(tmp_path / "other (1).h5") is None
