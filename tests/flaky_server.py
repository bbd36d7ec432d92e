"""A web server on this machine that breaks off, forgets, lies and changes its mind."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(0).bytes(300_000)


@dataclass
class Site:
    """What the server does with the requests for one path, and what it was asked."""

    content: bytes = CONTENT
    etag: str = '"v1"'
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, before any content
    breaks: list[int] = field(default_factory=list)  # bytes sent before the connection drops, request by request
    length: bool = True
    kind: str = "application/zip"
    location: str = ""
    asked: list[str] = field(default_factory=list)  # the Range header of each request
    sent: int = 0
    swap: Site | None = None  # replaces this site after the first break
    moods: list[str] = field(default_factory=list)  # what goes wrong, request by request: see MOODS
    stall: float = 1.0  # seconds of silence
    slice_pause: float = 0.0  # seconds between slices of 20,000 bytes


Server = tuple[dict[str, Site], str]  # the sites by path, and where they are


class Handler(BaseHTTPRequestHandler):
    sites: dict[str, Site]

    def log_message(self, *arguments: object) -> None:
        return

    def do_GET(self) -> None:
        site = self.sites.get(self.path)
        if site is None:
            self._bare(404)
            return
        site.asked.append(self.headers.get("Range", ""))
        mood = site.moods.pop(0) if site.moods else ""
        if mood in MOODS:
            MOODS[mood](self, site)
        elif site.location:
            self._bare(302, {"Location": site.location})
        elif site.statuses:
            self._bare(site.statuses.pop(0))
        else:
            self._content(site)

    def _bare(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _content(self, site: Site) -> None:
        start, size = self._start(site), len(site.content)
        if start is not None and start >= size:
            self._bare(416, {"Content-Range": f"bytes */{size}"})
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.length:
            self.send_header("Content-Length", str(size - (start or 0)))
        self.send_header("Content-Type", site.kind)
        self.end_headers()
        body = site.content[start or 0 :]
        if site.breaks:
            body = body[: site.breaks.pop(0)]
            self.close_connection = True
            if site.swap is not None:
                self.sites[self.path] = replace(site.swap, asked=site.asked)
        for place in range(0, len(body), 20_000) if site.slice_pause else (0,):
            part = body[place : place + 20_000] if site.slice_pause else body
            site.sent += len(part)
            self.wfile.write(part)
            time.sleep(site.slice_pause)

    def whole(self, body: bytes, length: int | None, headers: dict[str, str], status: int = 200) -> None:
        """Send `body` under a header that may say anything of it."""
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in {"ETag": '"v1"', "Content-Type": "application/zip", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _start(self, site: Site) -> int | None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None or not site.ranges:
            return None
        condition = self.headers.get("If-Range", "")
        return None if condition and condition != site.etag else int(wanted[1])


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone."""


def _stall(handler: Handler, site: Site) -> None:
    handler.whole(site.content[: len(site.content) // 3], len(site.content), {})
    handler.wfile.flush()
    time.sleep(site.stall)


def _flipped(handler: Handler, site: Site) -> None:
    wrong = bytearray(site.content)
    wrong[len(wrong) // 2] ^= 1
    handler.whole(bytes(wrong), len(wrong), {})


def _changed(handler: Handler, site: Site) -> None:
    """Send half of another version, which is gone by the next request."""
    other = site.content[::-1]
    handler.whole(other[: len(other) // 2], len(other), {"ETag": '"v0"'})


def _wrong_place(handler: Handler, site: Site) -> None:
    size = len(site.content)
    handler.whole(site.content[7:], size - 7, {"Content-Range": f"bytes 7-{size - 1}/{size}"}, 206)


def _odd_range(handler: Handler, site: Site) -> None:
    handler.whole(site.content, len(site.content), {"Content-Range": "bytes \u00b2-\u00b9/" + "9" * 5000}, 206)


def _too_long(handler: Handler, site: Site) -> None:
    handler.whole(site.content + b"more", None, {"Connection": "close"})


def _silent(handler: Handler, site: Site) -> None:
    handler.close_connection = True
    handler.connection.close()


def _noise(handler: Handler, site: Site) -> None:
    handler.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")
    handler.close_connection = True


def _status(code: int) -> Callable[[Handler, Site], None]:
    return lambda handler, site: handler._bare(code)


def _moved(where: str) -> Callable[[Handler, Site], None]:
    return lambda handler, site: handler._bare(302, {"Location": where})


MOODS: dict[str, Callable[[Handler, Site], None]] = {
    "stalls": _stall, "flips a bit": _flipped, "changes": _changed, "sends another place": _wrong_place,
    "odd range": _odd_range, "claims too little": lambda handler, site: handler.whole(site.content, 100, {}),
    "claims too much": lambda handler, site: handler.whole(site.content, len(site.content) + 100, {}),
    "claims a terabyte": lambda handler, site: handler.whole(site.content[:5000], 1 << 40, {}),
    "sends too much": _too_long, "is silent": _silent, "noise": _noise,
    "a web page": lambda handler, site: handler.whole(b"<html>", 6, {"Content-Type": "text/html"}),
    "turns in a circle": _moved("/a"), "leaves https": _moved("http://example.org/a"), "moves to nowhere": _moved("::"),
    **{str(code): _status(code) for code in (404, 403, 408, 416, 429, 500, 503)},
}  # fmt: skip


@contextmanager
def serving() -> Iterator[Server]:
    """Yield the sites, to be filled, and the address at which they are served."""
    sites: dict[str, Site] = {}
    handler = type("Here", (Handler,), {"sites": sites})
    with _Quiet(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield sites, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
