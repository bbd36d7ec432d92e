"""Downloads against a server that breaks off, forgets, lies and changes its mind."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flaky_server import CONTENT, Server, Site, serving

from spikecli.errors import SpikeError
from spikecli.files.download import Fetching, fetch, fetch_first
from spikecli.files.remote import Remote

QUICK = Fetching(attempts=3, pause=0.001)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def remote(*urls: str, content: bytes | None = CONTENT) -> Remote:
    checksum = "" if content is None else f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Remote("set.zip", urls, checksum)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_file_comes_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = site = Site()
    phases: list[tuple[str, int | None]] = []
    steps: list[int] = []
    how = replace(QUICK, on_phase=lambda what, total: phases.append((what, total)), on_step=steps.append)
    path = fetch(remote(f"{base}/a"), tmp_path, how)
    assert path.read_bytes() == CONTENT and left(tmp_path) == ["set.zip"]
    assert phases == [("Fetching set.zip", 300_000)] and sum(steps) == 300_000
    assert fetch(remote(f"{base}/a"), tmp_path, replace(QUICK, offline=True)) == path
    assert site.asked == [""]


def test_md5_is_a_checksum_too(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = Site()
    known = Remote("set.zip", (f"{base}/a",), f"md5:{hashlib.md5(CONTENT).hexdigest().upper()}")
    assert fetch(known, tmp_path, QUICK).read_bytes() == CONTENT


def test_a_broken_connection_resumes_and_no_byte_comes_twice(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = site = Site(breaks=[100_000, 50_000, 1_000, 1_000, 1_000, 1_000])
    steps: list[int] = []
    assert fetch(remote(f"{base}/a"), tmp_path, replace(QUICK, on_step=steps.append)).read_bytes() == CONTENT
    assert site.sent == len(CONTENT)
    assert site.asked[:3] == ["", "bytes=100000-", "bytes=150000-"] and len(site.asked) == 7
    assert left(tmp_path) == ["set.zip"]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = site = Site(breaks=[100_000])
    with pytest.raises(SpikeError, match=r"set\.zip"):
        fetch(remote(f"{base}/a"), tmp_path, replace(QUICK, attempts=1))
    assert left(tmp_path) == ["set.zip.part", "set.zip.part.json"]
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT
    assert site.sent == len(CONTENT)


@pytest.mark.parametrize("note", ["{", "[]", '{"url": 1}', "URL é"])
def test_a_damaged_note_on_a_part_starts_over(server: Server, tmp_path: Path, note: str) -> None:
    sites, base = server
    sites["/a"] = Site()
    (tmp_path / "set.zip.part").write_bytes(b"what")
    damaged = note.replace("URL é", json.dumps({"url": f"{base}/a", "size": "4", "etag": "é\n"}, ensure_ascii=False))
    (tmp_path / "set.zip.part.json").write_text(damaged, encoding="utf-8")
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT
    assert left(tmp_path) == ["set.zip"]


def test_a_server_without_ranges_starts_over_cleanly(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = site = Site(ranges=False, breaks=[100_000])
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT
    assert site.sent == len(CONTENT) + 100_000


@pytest.mark.parametrize("etag", ['"v2"', ""])
def test_a_file_that_changes_between_attempts_starts_over(server: Server, tmp_path: Path, etag: str) -> None:
    sites, base = server
    fresh = CONTENT[::-1] + b"longer"
    sites["/a"] = Site(etag='"v1"' if etag else "", breaks=[100_000], swap=Site(content=fresh, etag=etag))
    assert fetch(remote(f"{base}/a", content=fresh), tmp_path, QUICK).read_bytes() == fresh


def test_a_file_that_shrinks_between_attempts_starts_over(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = Site(etag="", breaks=[100_000], swap=Site(content=b"short", etag=""))
    assert fetch(remote(f"{base}/a", content=b"short"), tmp_path, QUICK).read_bytes() == b"short"
    assert "bytes=100000-" in sites["/a"].asked


def test_a_part_that_is_whole_already_is_kept(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = site = Site(breaks=[100_000])
    with pytest.raises(SpikeError):
        fetch(remote(f"{base}/a"), tmp_path, replace(QUICK, attempts=1))
    (tmp_path / "set.zip.part").write_bytes(CONTENT)  # as when the program was killed before it gave the name
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT
    assert site.sent == 100_000


def test_errors_of_the_server_pass_or_lead_to_the_next_mirror(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/busy"] = busy = Site(statuses=[500, 503])
    assert fetch(remote(f"{base}/busy"), tmp_path / "a", QUICK).read_bytes() == CONTENT
    assert len(busy.asked) == 3
    sites["/down"] = down = Site(statuses=[500] * 9)
    sites["/page"] = Site(content=b"<html>moved</html>", kind="text/html; charset=utf-8")
    sites["/good"] = Site()
    urls = (f"{base}/gone", f"{base}/down", f"{base}/page", f"{base}/good")
    assert fetch(remote(*urls), tmp_path / "b", QUICK).read_bytes() == CONTENT
    assert len(down.asked) == 3
    with pytest.raises(SpikeError) as problem:
        fetch(remote(*urls[:3]), tmp_path / "c", QUICK)
    for said in ("answers 404", "answers 500, 3 times", "sends a web page", "give it with source"):
        assert said in str(problem.value)
    assert left(tmp_path / "c") == []


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match="3 times") as problem:
        fetch(remote("http://127.0.0.1:9/a"), tmp_path, QUICK)
    assert "\n" not in str(problem.value)


def test_a_wrong_checksum_removes_the_file(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = Site()
    with pytest.raises(SpikeError, match="checksum is not sha256:"):
        fetch(remote(f"{base}/a", content=b"other"), tmp_path, QUICK)
    assert left(tmp_path) == []
    (tmp_path / "set.zip").write_bytes(b"damaged since")
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT


def test_a_length_that_is_not_told_is_no_obstacle(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = Site(length=False)
    assert fetch(remote(f"{base}/a"), tmp_path, QUICK).read_bytes() == CONTENT


def test_only_https_leaves_this_machine(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/a"] = Site(location="http://example.org/set.zip")
    for url in ("http://example.org/set.zip", f"{base}/a"):
        with pytest.raises(SpikeError, match=r"example\.org/set\.zip is not https"):
            fetch(remote(url), tmp_path, QUICK)
    sites["/b"] = Site(location=f"{base}/c")
    sites["/c"] = Site()
    assert fetch(remote(f"{base}/b"), tmp_path, QUICK).read_bytes() == CONTENT


def test_offline_says_where_the_file_would_come_from(tmp_path: Path) -> None:
    with pytest.raises(SpikeError, match=r"offline is set; fetch https://example\.org/set\.zip"):
        fetch(remote("https://example.org/set.zip"), tmp_path, replace(QUICK, offline=True))


def test_the_first_of_several_files_that_can_be_had(server: Server, tmp_path: Path) -> None:
    sites, base = server
    sites["/b"] = Site()
    one, two = Remote("one.zip", (f"{base}/a",)), Remote("two.tar.gz", (f"{base}/b",))
    assert fetch_first((one, two), tmp_path, QUICK) == tmp_path / "two.tar.gz"
    assert fetch_first((one, two), tmp_path, replace(QUICK, offline=True)) == tmp_path / "two.tar.gz"
    with pytest.raises(SpikeError, match=r"one\.zip.*404"):
        fetch_first((one,), tmp_path, QUICK)


def test_a_full_disk_is_one_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sites, base = server
    sites["/a"] = Site()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("spikecli.files.download.os.fsync", full)
    with pytest.raises(SpikeError, match=r"cannot write .*set\.zip.*the disk is full"):
        fetch(remote(f"{base}/a"), tmp_path, QUICK)
