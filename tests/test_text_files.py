"""Text that Windows wrote: the byte-order mark is no part of the first word."""

from __future__ import annotations

from pathlib import Path

from spikecli.files.gate import read_json, read_lines
from spikecli.neuroclip.zeroshot import read_words


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    mark = "\ufeff".encode()
    (tmp_path / "classes.txt").write_bytes(mark + b"cat\r\ndog\r\n")
    (tmp_path / "templates.txt").write_bytes(mark + b"A photo of {}.\n")
    (tmp_path / "a.json").write_bytes(mark + b'["one"]')
    assert read_lines(tmp_path / "classes.txt", "") == ["cat", "dog"]
    found = read_words(str(tmp_path / "classes.txt"), tmp_path / "templates.txt")
    assert found == (("cat", "dog"), ("A photo of {}.",))
    assert read_json(tmp_path / "a.json", [str], "") == ["one"]


def test_a_settings_file_with_a_byte_order_mark(tmp_path: Path, cli) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes("\ufeff".encode() + b"json = true\n")
    assert "papers" in cli("papers", "--config", path).out or cli("papers", "--config", path).code == 0
