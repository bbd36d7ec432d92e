"""Downloads: mirrors, resume after a break, checksums; a file is complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikecli.errors import SpikeError, named
from spikecli.files.atomic import sole_writer, unwritable, write_text
from spikecli.files.gate import is_header, read_json
from spikecli.files.remote import Remote

if TYPE_CHECKING:
    import httpx

_LOCAL = ("127.0.0.1", "localhost", "::1")
_PASSING = (408, 425, 429)  # a client error that goes away by itself


class _Dead(Exception):
    """This mirror does not have the file; a retry is useless."""


class _Broken(Exception):
    """This attempt failed; a retry may succeed."""


@dataclass(frozen=True)
class Fetching:
    """Retries, time limits, and callbacks of a download: `on_phase(name, bytes or None)`, then `on_step(bytes)`."""

    attempts: int = 5  # without a new byte, for each mirror
    pause: float = 1.0  # seconds before the second attempt, doubled before each further one
    offline: bool = False
    patience: float = 30.0  # seconds without a byte
    on_phase: Callable[[str, int | None], None] = lambda what, total: None
    on_step: Callable[[int], None] = lambda steps: None


@dataclass(frozen=True)
class _Part:
    """The partial download of one address, in a file beside the final one."""

    target: Path

    @property
    def path(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    def origin(self, url: str) -> dict[str, str]:
        """Return the record of this part's download; empty if the part came from another address."""
        try:
            origin = read_json(self.note, {str: is_header}, "")
        except SpikeError:  # not written, or half of it: the part is fetched again
            return {}
        return origin if origin.get("url") == url else {}

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch_first(remotes: Sequence[Remote], folder: Path, how: Fetching = Fetching()) -> Path:
    """Return one of several equivalent files: one that is in `folder` already, or else the first that can be fetched.

    Raise SpikeError, with the fault of each, if none can be fetched.
    """
    for remote in remotes:
        target = folder / remote.filename
        if target.exists() and _sums_up(target, remote.checksum):
            return target
    reasons = []
    for remote in remotes:
        try:
            return fetch(remote, folder, how)
        except SpikeError as reason:
            if how.offline:
                raise
            reasons.append(str(reason))
    raise SpikeError(" — ".join(reasons))


def fetch(remote: Remote, folder: Path, how: Fetching = Fetching()) -> Path:
    """Return the file of `remote` in `folder`; fetch it from the first mirror that has it, unless it is there already.

    A broken transfer goes on where it stopped, also in a later run, as long as the server's file is the same. Raise
    SpikeError if no mirror gives the file, its checksum is wrong, or it is not there and `how` is offline.
    """
    target = folder / remote.filename
    if target.exists() and _sums_up(target, remote.checksum):
        return target
    if how.offline:
        raise SpikeError(
            f"{target} is not there and {named('offline')} is set; fetch {remote.urls[0]} elsewhere and give it with "
            f"{named('source')}, or remove {named('offline')}"
        )
    reasons = []
    with sole_writer(folder, f"fetching {remote.filename}", wait=True):
        if target.exists() and _sums_up(target, remote.checksum):  # fetched by the process we waited for
            return target
        for url in remote.urls:
            try:
                _from_mirror(url, _Part(target), remote.checksum, how)
                return target
            except _Dead as reason:
                reasons.append(f"{url}: {reason}")
    raise SpikeError(f"cannot fetch {remote.filename} ({'; '.join(reasons)}); give it with {named('source')}")


def _from_mirror(url: str, part: _Part, checksum: str, how: Fetching) -> None:
    import httpx

    failures = 0
    hooks = {"request": [_only_https]}
    with httpx.Client(follow_redirects=True, timeout=how.patience, event_hooks=hooks) as client:
        while True:
            before = part.size()
            try:
                _transfer(client, url, part, how)
                break
            except (httpx.TransportError, _Broken) as reason:
                failures = 0 if part.size() > before > 0 else failures + 1
                if failures >= how.attempts:
                    raise _Dead(f"{reason or type(reason).__name__}, {failures} times") from None
                time.sleep(min(60.0, how.pause * 2 ** max(0, failures - 1)))
            except (httpx.InvalidURL, httpx.TooManyRedirects) as reason:
                raise _Dead(str(reason)) from None
    if not _sums_up(part.path, checksum):
        part.drop()
        raise _Dead(f"its checksum is not {checksum}, so the file is damaged or another one and was removed")
    try:
        part.path.replace(part.target)
    except OSError as error:
        raise unwritable(part.target, error) from error
    part.drop()


def _transfer(client: httpx.Client, url: str, part: _Part, how: Fetching) -> None:
    """Download the rest of the file in one request; raise `_Broken` or a transport error if that fails."""
    origin, have = part.origin(url), part.size()
    headers = {"Accept-Encoding": "identity"}
    if have and origin.get("size"):
        headers["Range"] = f"bytes={have}-"
        if validator := origin.get("etag") or origin.get("modified"):
            headers["If-Range"] = validator
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:
            _finished_or_broken(response, part, origin, have)
            return
        _usable(response)
        resumes = response.status_code == 206
        size = _total(response)
        if resumes and not _same_file(response, origin, have):
            part.drop()
            raise _Broken("its file changed while it was being fetched")
        if not resumes:
            part.drop()
            write_text(part.note, json.dumps(_origin(url, response, size)))
        how.on_phase(f"Fetching {part.target.name}", size)
        how.on_step(have if resumes else 0)
        _append(response, part, "ab" if resumes else "wb", how)
    came = part.size()
    if size is not None and came != size:
        if came > size:
            part.drop()
        raise _Broken(f"it sent {came} of {size} bytes")


def _append(response: httpx.Response, part: _Part, mode: str, how: Fetching) -> None:
    try:
        with part.path.open(mode) as file:
            for block in response.iter_raw():  # as it comes, so that a break loses nothing
                file.write(block)
                how.on_step(len(block))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(part.path, error) from error


def _usable(response: httpx.Response) -> None:
    code = response.status_code
    if code >= 500 or code in _PASSING:
        raise _Broken(f"the server answers {code}")
    if code not in (200, 206):
        raise _Dead(f"the server answers {code}")
    if "text/html" in response.headers.get("content-type", ""):
        raise _Dead("the server sends a web page, not the file")


def _finished_or_broken(response: httpx.Response, part: _Part, origin: dict[str, str], have: int) -> None:
    """Return if the server refuses a range because the part is complete; else delete the part and raise `_Broken`."""
    size = response.headers.get("content-range", "").rpartition("/")[2]
    if size == str(have) == origin.get("size"):
        return
    part.drop()
    raise _Broken("its file is no longer the one of which a part had come")


def _total(response: httpx.Response) -> int | None:
    """Return the length of the whole file in bytes; None if the server does not send it."""
    told = response.headers.get("content-length", "")
    if response.status_code == 206:
        told = response.headers.get("content-range", "").rpartition("/")[2]
    return int(told) if told.isdecimal() and len(told) < 19 else None


def _origin(url: str, response: httpx.Response, size: int | None) -> dict[str, str]:
    etag = response.headers.get("etag", "")
    return {
        "url": url,
        "etag": "" if etag.startswith("W/") else etag,  # a weak one does not promise equal bytes
        "modified": response.headers.get("last-modified", ""),
        "size": "" if size is None else str(size),
    }


def _same_file(response: httpx.Response, origin: dict[str, str], have: int) -> bool:
    told = response.headers.get("content-range", "")
    if not told.startswith(f"bytes {have}-") or told.rpartition("/")[2] != origin.get("size"):
        return False
    now = _origin(origin["url"], response, None)
    return all(not now[key] or not origin[key] or now[key] == origin[key] for key in ("etag", "modified"))


def _only_https(request: httpx.Request) -> None:
    if request.url.scheme != "https" and request.url.host not in _LOCAL:
        raise _Dead(f"{request.url} is not https")


def _sums_up(path: Path, checksum: str) -> bool:
    """Return whether the file has the checksum, `md5:…` or `sha256:…`; True if none is known."""
    if not checksum:
        return True
    kind, _, wanted = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == wanted.lower()
