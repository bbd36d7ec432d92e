"""The documentation site builds strictly without the net; every command on its pages is one that the program takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from page_commands import commands_of, problem_of
from rooms import ROOT

PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "examples" / "README.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a broken link or anchor ends it."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT), "HTTPS_PROXY": "http://127.0.0.1:9"}
    ended = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def test_every_page_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()
        assert f'href="{page.stem}.html"' in start or page.stem == "index", f"mkdocs.yml does not list {page.name}"


def test_the_site_fetches_nothing(site: Path) -> None:
    loads = re.compile(r'(?:<script[^>]*\ssrc|<img[^>]*\ssrc|<link[^>]*\shref)="(https?:[^"]*)"')
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 10
    assert [(page.name, found) for page in pages for found in loads.findall(page.read_text(encoding="utf-8"))] == []


def test_lists_and_tables_are_drawn_as_such(site: Path) -> None:
    """A list that follows a line without a gap between is a paragraph to this builder, as it is not to others."""
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<p>[^<]*\n- ", text), f"{page.name}: a list needs an empty line before it"
        assert "<p>|" not in text, f"{page.name}: a table needs an empty line before it"


def test_the_api_page_has_the_names_of_the_library(site: Path) -> None:
    text = (site / "api.html").read_text(encoding="utf-8")
    for name in ("load", "predict", "train", "evaluate", "settings", "prepare", "Answer", "Model"):
        assert f'id="spikecli.library.{name}"' in text


# Commands on the pages.


PLACEHOLDER = re.compile(r"^[A-Z][A-Z0-9…]*$|…")  # RUN, FILE…, and the like
NUMBERS = re.compile(r"^--(epochs|shots|runs|seed|seeds|timesteps|batch-size|processes)$")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path) -> None:
    for command in commands_of(page):
        words = shlex.split(command.partition(" > ")[0], comments=True)[1:]
        words = [word for place, word in enumerate(words) if "--config" not in words[max(place - 1, 0) : place + 1]]
        if not words or "|" in words or "--import" in words:
            continue
        for place, word in enumerate(words[1:], 1):
            if PLACEHOLDER.search(word) and NUMBERS.match(words[place - 1]):
                words[place] = "1"
        if "--help" in words or words == ["--version"]:
            continue
        if all(word.startswith("-") for word in words) and words:
            continue  # a row of a table that shortens a command to its options
        problem = problem_of(words)
        if problem and not (problem.startswith("Missing") and len(words) <= 2):  # `spikecli view` names the command
            pytest.fail(f"{page.name}: {command}\n{problem}")
