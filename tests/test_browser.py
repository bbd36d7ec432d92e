"""Every kind of page that `view` writes, in a real browser: no error, nothing fetched, turned by keys, readable."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Page, chromium
from PIL import Image
from rooms import ROOT

from spikecli.cli import run

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (Debian: apt-get install chromium)")

TURNING = ("clouds", "network", "recording")  # pages with figures that turn
KINDS = (*TURNING, "spikes", "membranes", "run", "ablation")
STORED = Path(__file__).parent / "pages"  # small pictures of the pages: blocks, in which letters do not show
BLOCKS = (45, 35)
# Mean difference of a block from the stored one, of 255. A missing picture changes a fifth of the blocks by a hundred,
# which is 20; another font, a few of them by ten.
TOLERANCE = 9
AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PLOT = "document.querySelector('.plotly-graph-div')"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, shapes_dir: Path) -> dict[str, Path]:
    """A page of each kind; the networks are small or the one that comes with the program."""
    folder = tmp_path_factory.mktemp("pages")
    made = folder / "sweep" / "run"
    tiny = ["--epochs", 2, "--points", 32, "--batch-size", 300, "--data-dir", shapes_dir, "--out", made, "--quiet"]
    chair, bed = ROOT / "examples" / "chair.off", ROOT / "examples" / "bed.off"
    inside = ["--checkpoint", "reference", "--points", 128, "--timesteps", 2]
    lines = {
        "clouds": [chair, bed],
        "network": [chair, *inside, "--theme", "dark"],
        "spikes": [chair, *inside, "--show", "spikes"],
        "membranes": [chair, *inside, "--show", "membranes", "--theme", "dark"],
        "recording": [ROOT / "examples" / "seven.bin"],
        "run": [made, "--data-dir", shapes_dir, "--runs", 1],
        "ablation": [made.parent],
    }
    assert sorted(lines) == sorted(KINDS)
    assert run(["train", "shapes", *map(str, tiny)]) == 0
    for name, line in lines.items():
        assert run([str(word) for word in ["view", *line, "--out", folder / f"{name}.html", "--quiet"]]) == 0
    return {name: folder / f"{name}.html" for name in lines}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_in_a_browser(kind: str, pages: dict[str, Path], page: Page, tmp_path: Path) -> None:
    """One test a kind: a page is opened once, which is what takes the time."""
    page.open(pages[kind])
    if kind in TURNING:
        page.wait(f"{PLOT} && {PLOT}.querySelectorAll('canvas').length > 0", "no cloud is drawn")
    looks_as_it_did(kind, page.shot(tmp_path / "shot.png"))
    is_named(page)
    if kind == "recording":
        turns_by_keys(page)
    page.resize(500)
    fits_a_narrow_screen(page)
    assert page.problems == [] and page.fetched == []


def looks_as_it_did(kind: str, shot: Image.Image) -> None:
    blocks, stored = shot.resize(BLOCKS, Image.Resampling.BOX), STORED / f"{kind}.png"
    if os.environ.get("SPIKECLI_SNAPSHOTS") == "rewrite":
        blocks.save(stored, optimize=True)
    with Image.open(stored) as wanted:
        apart = np.abs(np.asarray(blocks, float) - np.asarray(wanted.convert("RGB"), float))
    assert apart.mean() < TOLERANCE, f"{kind}: {apart.mean():.1f}; if it is to look so, SPIKECLI_SNAPSHOTS=rewrite"


def is_named(page: Page) -> None:
    for what in ("document.title.length > 0", "document.documentElement.lang === 'en'"):
        assert page.ask(what), what
    assert page.ask("document.querySelectorAll('h1').length") == 1
    page.press("Tab")
    page.wait("document.activeElement !== document.body", "keys reach nothing")
    assert page.ask(
        "[...document.querySelectorAll('img,[role=img],[role=application]')].every(e => e.alt || e.ariaLabel)"
    )


def turns_by_keys(page: Page) -> None:
    page.ask(f"window.plot = {PLOT}, plot.focus(), 0")
    assert page.ask("plot._fullData.reduce((sum, d) => sum + d.x.length, 0)") == 4135
    before = eye_of(page)
    turned = pressed(page, "ArrowLeft", before)
    assert turned[2] == pytest.approx(before[2]) and not np.allclose(turned[:2], before[:2])
    near = pressed(page, "+", turned)
    assert np.linalg.norm(near) == pytest.approx(0.9 * np.linalg.norm(turned), rel=1e-3)


EYE = "(() => { const e = plot._fullLayout.scene._scene.getCamera().eye; return [e.x, e.y, e.z]; })()"


def eye_of(page: Page) -> np.ndarray:
    return np.array(page.ask(EYE))


def pressed(page: Page, key: str, before: np.ndarray) -> np.ndarray:
    """Return the camera's place after a key, once it has moved."""
    page.press(key)
    page.wait(f"{EYE}.some((value, i) => Math.abs(value - {before.tolist()}[i]) > 1e-6)", f"{key} moves nothing")
    page.drawn()
    return eye_of(page)


def fits_a_narrow_screen(page: Page) -> None:
    page.wait("innerWidth === 500 && document.documentElement.scrollWidth <= 500", "the page is wider than the screen")
    size = (
        "Math.min(...[...document.querySelectorAll('h1,h2,p,td')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert page.ask(size) >= 13
    overlaps = """(() => { const boxes = [...document.querySelectorAll('h1,h2,p,.plotly-graph-div')]
        .map(e => e.getBoundingClientRect()).sort((a, b) => a.top - b.top);
        return boxes.filter((b, i) => i && b.top < boxes[i - 1].bottom - 2 && b.left < boxes[i - 1].right - 2
            && b.right > boxes[i - 1].left + 2).length; })()"""
    page.wait(f"{overlaps} === 0", "parts of the page overlap")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (npm install --prefix .venv/npm axe-core)")
@pytest.mark.parametrize("kind", ("network", "recording", "run", "membranes"))
def test_contrast_and_structure_satisfy_axe(kind: str, pages: dict[str, Path], page: Page) -> None:
    page.open(pages[kind])
    page.ask(AXE.read_text(encoding="utf-8") + ";0")
    found = page.ask(
        "axe.run({runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa']}}).then(r => r.violations.map(v => "
        "v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | ')))"
    )
    assert found == []
