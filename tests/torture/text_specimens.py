"""Files of words: settings, templates, class names, lists, the notes of a download; and archives."""

from __future__ import annotations

import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

from spikecli.datasets.clouds.facts import POINT_SETS
from spikecli.datasets.clouds.layouts import list_items
from spikecli.errors import SpikeError
from spikecli.files.archive import open_source
from spikecli.files.download import Fetching, fetch
from spikecli.files.remote import Remote
from spikecli.neuroclip.zeroshot import Question, read_classes, read_words
from torture.formats import Format, of_texts
from torture.mutations import Rng, damaged, damaged_json, json_bytes

GROUPS = ("TOML settings", "templates and classes", "lists and labels", "archives", "JSON records")
SETTINGS = [
    "epochs = 3", "lr = 0.01", 'paper = "mpbn"', "points = 64", "seed = 1", 'dataset = "none"', "quiet = true",
    'data-dir = "nothing"', 'precision = "bf16"', "decay = 0.5", 'fire = "ternary"', "dropout = 0.1", "json = true",
]  # fmt: skip
ODD_SETTINGS = (
    "epochs = [1]", "lr = nan", "lr = inf", "points = -1", "batch-size = 1e300",
    "seed = 9999999999999999999999", "[train]",
    "epochs = 1979-05-27", 'lr = "x"', "x = 1", "a = " + "[" * 5000, "epochs = true", "quiet = 3",
    'out = ["a"]', "lr = {}",
    "[[epochs]]", "model.name = 1", 'data-dir = "\\u0000"', "threshold = 0", 'dataset = ""', "config = 3",
)  # fmt: skip


def formats(folder: Path) -> list[Format]:
    """Return the formats of words and of archives."""
    lines = ["a photo of a {}.", "{} on a table", "the number {}"]
    odd = ("", "{}{}", "{0}", "{", "no place", "\0", "{}" * 9999, "é", "\u2028")
    names = ["zero", "one", "two", "three"]
    return [
        Format("settings.toml", of_texts(SETTINGS, ODD_SETTINGS), _settings, 3.0, "TOML settings"),
        Format("templates.txt", of_texts(lines, odd), _templates, 2.0, "templates and classes"),
        Format("classes.txt", of_texts(names, (*odd, "one")), _classes, 2.0, "templates and classes"),
        *_lists(folder / "lists"),
        *(Format(f"a.{kind}", _archive(kind), _unpack, share, "archives") for kind, share in ARCHIVES),
        Format("note.json", _note, _resume, 2.0, "JSON records"),
    ]


def _settings(path: Path) -> object:
    from spikecli.cli import run

    # The data set is never there, so nothing is trained; every option is parsed and checked before that is seen.
    code = run(["train", "none", "--data-dir", str(path.parent / "nowhere"), "--config", str(path)])
    if code not in (1, 2):
        raise AssertionError(f"exit code {code}")
    raise SpikeError("refused, if for want of the data alone")


def _templates(path: Path) -> object:
    return Question(("zero", "one"), read_words(None, path)[1] or ())


def _classes(path: Path) -> object:
    return Question(read_classes(str(path)), ("{}",))


def _lists(folder: Path) -> list[Format]:
    facts = POINT_SETS["modelnet10"]
    stems = [f"{name}_0001" for name in facts.classnames]
    for name, stem in zip(facts.classnames, stems, strict=True):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{stem}.txt").write_text("1 2 3\n4 5 6\n")
        (folder / name / f"{name}_0002.txt").write_text("1 2 3\n4 5 6\n")
    tests = [f"{name}_0002" for name in facts.classnames]

    def read(names: bool):  # type: ignore[no-untyped-def]
        def listed(path: Path) -> object:
            (folder / "modelnet10_test.txt").write_text("\n".join(tests))
            (folder / "modelnet10_train.txt").write_text("\n".join(stems))
            (folder / "modelnet10_shape_names.txt").write_text("\n".join(facts.classnames))
            path.replace(folder / ("modelnet10_shape_names.txt" if names else "modelnet10_train.txt"))
            return list_items(folder, facts)

        return listed

    odd = ("../../secret_0001", "bed", "_", "bed_9999", "\0", "é", "x" * 300, "/")
    return [
        Format("train.txt", of_texts(stems, odd), read(False), 1.5, "lists and labels"),
        Format("names.txt", of_texts(list(facts.classnames), odd), read(True), 1.0, "lists and labels"),
    ]


ARCHIVES = (("zip", 3.0), ("tar", 3.0), ("tar.gz", 1.5), ("tar.xz", 1.5))
EVIL = (
    "../out.txt", "/out.txt", "a/../../out.txt", "C:/out.txt", "..\\out.txt", "a//b.txt",
    "./a.txt", "a/./b.txt", "", ".",
    "a" * 300, "é.txt", "a\0b", "nul", " ", "a/", "x/" * 300 + "y",
)  # fmt: skip


def _archive(kind: str):  # type: ignore[no-untyped-def]
    def make(rng: Rng) -> bytes:
        members = {f"set/{name}.txt": b"1 2 3\n" * int(rng.integers(1, 30)) for name in "abc"}
        for _ in range(int(rng.integers(3))):
            members[EVIL[int(rng.integers(len(EVIL)))]] = b"out"
        if rng.random() < 0.02:
            members["zeros.txt"] = bytes(300 << 20) if rng.random() < 0.1 else bytes(20 << 20)
        data = _zipped(members, rng) if kind == "zip" else _tarred(members, kind, rng)
        return damaged(data, rng) if rng.random() < 0.7 else data

    return make


def _zipped(members: dict[str, bytes], rng: Rng) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", int(rng.choice([0, 8, 12, 14])), compresslevel=1) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = archive.compression
            if rng.random() < 0.1:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, content)
    return out.getvalue()


def _tarred(members: dict[str, bytes], kind: str, rng: Rng) -> bytes:
    out = io.BytesIO()
    mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]
    with (
        tarfile.open(fileobj=out, mode=mode, preset=0)
        if kind == "tar.xz"
        else tarfile.open(fileobj=out, mode=mode) as archive
    ):  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if rng.random() < 0.08:
                info.type = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)[int(rng.integers(4))]
                info.linkname = "../../../out.txt"
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _unpack(path: Path) -> object:
    scratch = path.parent / "unpacked"
    around = {entry.name for entry in path.parent.iterdir()} | {"unpacked"}
    total = 0
    try:
        with open_source(path, scratch) as folder:
            for entry in folder.rglob("*"):
                if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                    raise AssertionError(f"{entry} is no plain file")
                total += entry.stat().st_size if entry.is_file() else 0
    finally:
        outside = {entry.name for entry in path.parent.iterdir()} - around
        if outside or (scratch.exists() and list(scratch.iterdir())):
            raise AssertionError(f"left {sorted(outside)} outside, or something in {scratch}")
    return total


NOTE = {"url": "http://127.0.0.1:9/a", "etag": '"v1"', "modified": "", "size": "300000"}


def _note(rng: Rng) -> bytes:
    return json_bytes(damaged_json(NOTE, rng), rng) if rng.random() < 0.6 else damaged(json.dumps(NOTE).encode(), rng)


def _resume(path: Path) -> object:
    """Go on with a download of which the note is damaged, from a server that is not there."""
    folder = path.parent / "download"
    folder.mkdir(exist_ok=True)
    (folder / "set.zip.part").write_bytes(b"part")
    path.replace(folder / "set.zip.part.json")
    return fetch(Remote("set.zip", ("http://127.0.0.1:9/a",)), folder, Fetching(attempts=1, pause=0))
