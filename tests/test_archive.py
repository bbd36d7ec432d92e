"""Archives: opened like folders, and trusted with nothing."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from spikecli.errors import SpikeError
from spikecli.files import archive
from spikecli.files.archive import is_archive, open_source

FILES = {"set/a/one.txt": b"1 2 3\n" * 50, "set/b/two.txt": b"4 5 6\n"}


def make(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in files.items():
                out.writestr(name, content)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
    with tarfile.open(path, mode) as out:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "A.TAR.XZ", "a.tar.bz2"])
def test_every_kind_opens_alike_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name.lower(), FILES).rename(tmp_path / name)
    scratch = tmp_path / "scratch"
    steps: list[int] = []
    with open_source(path, scratch, steps.append) as folder:
        assert contents(folder) == FILES
        assert folder.parent == scratch
    assert list(scratch.iterdir()) == []
    assert is_archive(path) and sum(steps) == 2


def test_an_archive_in_an_archive_is_opened_and_named_as_the_one_that_was_given(tmp_path: Path) -> None:
    inner = make(tmp_path / "inner.tar", FILES).read_bytes()
    twice = make(tmp_path / "twice.zip", {"download/inner.tar": inner, "__MACOSX/inner.tar": b"x"})
    scratch = tmp_path / "scratch"
    with open_source(twice, scratch) as folder:
        assert {name: content for name, content in contents(folder).items() if name in FILES} == FILES
    with pytest.raises(SpikeError) as problem, open_source(twice, scratch) as folder:
        raise SpikeError(f"{folder / 'set'} holds no data set")
    assert str(problem.value) == f"{twice / 'set'} holds no data set"
    broken = make(tmp_path / "broken.zip", {"inner.tar": b"no archive at all"})
    with pytest.raises(SpikeError, match="is damaged") as problem, open_source(broken, scratch):
        pass
    assert str(scratch) not in str(problem.value) and str(broken) in str(problem.value)
    deep = make(tmp_path / "1.zip", FILES)
    for number in range(2, 5):
        deep = make(tmp_path / f"{number}.zip", {"a.zip": deep.read_bytes()})
    with pytest.raises(SpikeError, match="archives in archives"), open_source(deep, scratch):
        pass
    assert list(scratch.iterdir()) == []


def test_a_folder_is_itself(tmp_path: Path) -> None:
    with open_source(tmp_path, tmp_path / "scratch") as folder:
        assert folder == tmp_path
    assert not (tmp_path / "scratch").exists()


def test_the_unpacked_folder_goes_when_the_work_on_it_fails(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", FILES)
    with pytest.raises(ZeroDivisionError), open_source(path, tmp_path / "scratch"):
        raise ZeroDivisionError
    assert list((tmp_path / "scratch").iterdir()) == []


def test_clutter_of_other_systems_is_left_out(tmp_path: Path) -> None:
    files = {**FILES, "__MACOSX/set/a/._one.txt": b"x", "set/.DS_Store": b"x", "set/a/._one.txt": b"x"}
    for name in ("a.zip", "a.tar"):
        with open_source(make(tmp_path / name, files), tmp_path / "scratch") as folder:
            assert contents(folder) == FILES


@pytest.mark.parametrize(
    ("name", "evil"),
    [
        *((name, evil) for name in ("a.zip", "a.tar") for evil in ("../out.txt", "/out.txt", "set/../../out.txt")),
        ("a.zip", "..\\out.txt"),  # in a tar a backslash is a letter like any other
        ("a.zip", "C:/out.txt"),
        ("a.tar", "C:/out.txt"),
    ],
)
def test_no_path_leads_outside(tmp_path: Path, name: str, evil: str) -> None:
    path = make(tmp_path / name, {evil: b"x"})
    with pytest.raises(SpikeError, match="outside"), open_source(path, tmp_path / "scratch"):
        pass
    assert not list(tmp_path.rglob("out.txt"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_links_and_no_devices(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as out:
        info = tarfile.TarInfo("set/secret.txt")
        info.type, info.linkname = kind, "/etc/passwd"
        out.addfile(info)
    with pytest.raises(SpikeError, match="secret"), open_source(path, tmp_path / "scratch"):
        pass


def test_no_link_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        info = zipfile.ZipInfo("set/secret.txt")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    with pytest.raises(SpikeError, match="link"), open_source(path, tmp_path / "scratch"):
        pass


@pytest.mark.parametrize("name", ["a.zip", "a.tar.xz"])
def test_a_bomb_is_stopped_before_it_fills_the_disk(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_FREE_BYTES", 1 << 20)
    path = make(tmp_path / name, {"zeros.txt": bytes(30 << 20)})
    with pytest.raises(SpikeError, match="times its size"), open_source(path, tmp_path / "scratch"):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path / name, {"set/one.txt": os.urandom(40_000)}).read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>not here</html>" * 99, whole[:3], b""):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SpikeError, match=f"{name} is damaged") as problem:  # noqa: SIM117
            with open_source(tmp_path / name, tmp_path / "scratch"):
                pass
        assert "\n" not in str(problem.value)


def test_one_flipped_bit_in_a_zip_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", {"set/one.txt": os.urandom(40_000)})
    content = bytearray(path.read_bytes())
    content[20_000] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(SpikeError, match="damaged"), open_source(path, tmp_path / "scratch"):
        pass


def test_what_is_no_source_says_what_is(tmp_path: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"x")
    with pytest.raises(SpikeError, match=r"\.zip, \.tar"), open_source(tmp_path / "a.rar", tmp_path):
        pass
    with pytest.raises(SpikeError, match="found nothing"), open_source(tmp_path / "b.zip", tmp_path):
        pass
