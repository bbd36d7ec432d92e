"""A web server on this machine that breaks off, forgets, lies and changes its mind."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
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
        if site.location:
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
        site.sent += len(body)
        self.wfile.write(body)

    def _start(self, site: Site) -> int | None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None or not site.ranges:
            return None
        condition = self.headers.get("If-Range", "")
        return None if condition and condition != site.etag else int(wanted[1])


@contextmanager
def serving() -> Iterator[Server]:
    """Yield the sites, to be filled, and the address at which they are served."""
    sites: dict[str, Site] = {}
    handler = type("Here", (Handler,), {"sites": sites})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield sites, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
