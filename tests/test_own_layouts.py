"""Own data in lists, groups, archives and nested folders."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from event_bytes import write
from own_scans import scans

Cli = Callable[..., Any]


def test_lists_in_toml_groups_archives_and_nested_folders(cli: Cli, tmp_path: Path) -> None:
    scans(tmp_path / "scans", 4)
    place = ("--points", 16, "--data-dir", tmp_path / "data", "--json", "--quiet")

    def prepared(source: Path, *more: object) -> dict[str, Any]:
        done = cli("data", "prepare", source.stem.partition(".")[0], "--from", source, *more, *place)
        assert done.code == 0, done.err
        document: dict[str, Any] = done.document
        return document

    files = sorted((tmp_path / "scans").rglob("*.ply"))
    rows = [
        f'[[samples]]\npath = "{path.relative_to(tmp_path).as_posix()}"\nclass = "{path.parent.name}"\n'
        f'split = "{"test" if path.stem.endswith("3") else "train"}"\n'
        for path in files
    ]
    listed = prepared(write(tmp_path / "listed.toml", "\n".join(rows).encode()))
    assert listed["samples"] == {"train": 15, "test": 5} and listed["classes"]["cup"] == {"train": 3, "test": 1}
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for path in files:
            archive.write(path, f"a/b/{path.parent.name}/{path.name}")
        archive.writestr("a/b/cup/notes.txt", "of June")
    with tarfile.open(tmp_path / "tarred.tar.bz2", "w:bz2") as packed:
        for path in files:
            packed.add(path, f"top/{path.parent.name}/{'test' if path.stem.endswith('0') else 'train'}/{path.name}")
    zipped = prepared(tmp_path / "zipped.zip")
    assert sum(zipped["samples"].values()) == 20 and "zipped.zip/a/b/cup/notes.txt" in zipped["skipped"][0]
    assert prepared(tmp_path / "tarred.tar.bz2")["samples"] == {"train": 15, "test": 5}
    grouped = prepared(tmp_path / "scans", "--group", r"[a-z]+_[01]|[a-z]+_[23]", "--test-fraction", 0.5)
    assert grouped["samples"] == {"train": 10, "test": 10}
