"""Make the pictures of docs/gallery.md by the commands on that page, and the README's: docs/pictures/.

python scripts/make_gallery.py [NAME …]    after `make demo` and the page's own `spikecli train`; NAME: a picture
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from spikecli.cli import run

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
COMMAND = re.compile(r"^(?:    |\*`)(spikecli view .*--out \S+?\.\w+)", flags=re.MULTILINE)
SCREEN = "900,700"


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the file that each command of the two pages writes, and its words without the program's name."""
    for page in (ROOT / "docs" / "gallery.md", ROOT / "README.md"):
        for line in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", "")):
            words = shlex.split(line)[1:]
            yield words[-1], words[:-1]


def photograph(page: Path, picture: Path) -> None:
    """Write what chromium shows of a page; leave the picture as it is where there is no chromium."""
    browser = shutil.which("chromium")
    if browser is None:
        print(f"no chromium here: {picture.name} stays as it is")
        return
    line = [browser, "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    line += ["--hide-scrollbars", f"--window-size={SCREEN}", "--virtual-time-budget=15000", f"--screenshot={picture}"]
    subprocess.run([*line, page.as_uri()], check=True, capture_output=True, timeout=600)


def smaller(picture: Path) -> None:
    """Write a PNG with 256 colors, a third of its size; its captions stay."""
    with Image.open(picture) as whole:
        kept = PngInfo()
        for key, text in whole.info.items():
            if isinstance(text, str):
                kept.add_text(key, text)
        few = whole.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(picture, optimize=True, pnginfo=kept)


def main() -> None:
    """Run the commands whose pictures are named, or all."""
    wanted = sys.argv[1:]
    for name, words in commands():
        if wanted and name not in wanted and Path(name).stem not in wanted:
            continue
        print(name, flush=True)
        if name.endswith(".html"):
            with tempfile.TemporaryDirectory() as folder:
                page = Path(folder) / name
                assert run([*words, str(page), "--quiet"]) == 0
                photograph(page, PICTURES / f"{page.stem}.png")
        else:
            assert run([*words, str(PICTURES / name), "--quiet"]) == 0
        picture = PICTURES / f"{Path(name).stem}.png"
        if picture.exists():
            smaller(picture)


if __name__ == "__main__":
    main()
