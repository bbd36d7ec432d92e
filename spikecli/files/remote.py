"""Files to download: mirrors, checksums, sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """One file to download: its local name, its mirrors in the order tried, and its checksum if known."""

    filename: str
    urls: tuple[str, ...]
    checksum: str = ""  # "md5:…" or "sha256:…"
