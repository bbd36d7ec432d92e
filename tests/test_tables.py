"""Tables in files, by their ending, and figures as pixels, curves and pages."""

from __future__ import annotations

import csv
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Outcome

from spikecli.errors import ChoiceError
from spikecli.files.tables import ResultTable, as_latex, as_markdown, with_spread, write_table

Cli = Callable[..., Outcome]
TABLE = ResultTable(
    "two papers_1",
    ("paper", "T = 1, %"),
    [("lif", "91.2 ± 0.30"), ("a|b & c", "–")],
    "mean ± std",
    [{"paper": "lif", "accuracy": 0.9123}, {"paper": "a|b & c", "accuracy": None}],
)


def test_markdown_has_a_cell_for_each_cell_and_numbers_at_the_right() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert lines[0] == "**two papers_1**" and lines[-1] == "mean ± std"
    assert lines[3] == "| -------- | ----------: |"
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", lines[5])[1:-1]] == [r"a\|b & c", "–"]


def test_latex_is_escaped_and_has_the_rules_of_booktabs() -> None:
    text = as_latex(TABLE)
    assert r"\begin{tabular}{lr}" in text and text.count(r"\\") == 3
    assert r"a$|$b \& c & -- \\" in text and r"91.2 $\pm$ 0.30" in text
    assert r"\caption{two papers\_1; mean $\pm$ std}" in text and r"T = 1, \%" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1


def test_csv_has_every_digit(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", TABLE)
    assert list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines())) == [
        {"paper": "lif", "accuracy": "0.9123"},
        {"paper": "a|b & c", "accuracy": ""},
    ]
    with pytest.raises(ChoiceError, match=r"name a \.csv, \.md, \.tex file"):
        write_table(tmp_path / "t.xlsx", TABLE)


def test_mean_and_std_stand_behind_the_seeds_of_each_group() -> None:
    rows = [
        {"paper": paper, "seed": seed, "accuracy": value, "rate": rate}
        for paper, seed, value, rate in [("a", 0, 0.5, 0.1), ("a", 1, 0.7, None), ("b", 0, 0.9, 0.2)]
    ]
    found = with_spread(rows, "seed", ("accuracy", "rate"))
    assert [(row["paper"], row["seed"]) for row in found] == [
        ("a", 0), ("a", 1), ("a", "mean"), ("a", "std"), ("b", 0)
    ]  # fmt: skip
    assert found[2]["accuracy"] == pytest.approx(0.6)
    assert found[3]["accuracy"] == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert found[2]["rate"] is None


@pytest.mark.parametrize("ending", [".csv", ".md", ".tex"])
def test_papers_writes_its_table(cli: Cli, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"papers{ending}"
    assert cli("papers", "--out", out, "--json").code == 0
    text = out.read_text()
    assert "2312.06372" in text and "ternary spike" in text and "--fire ternary" in text.replace("{}", "")


def test_a_wrong_ending_is_usage_before_any_work(cli: Cli) -> None:
    for line in (("eval", "no-such-run"), ("bench",), ("papers",)):
        ended = cli(*line, "--out", "table.xlsx")
        assert (ended.code, "name a .csv, .md, .tex file" in ended.err) == (2, True)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cloud") / "ball.npy"
    points = np.random.default_rng(0).normal(size=(300, 3))
    np.save(path, (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32))
    return path


def test_a_picture_is_what_its_ending_says_and_the_same_twice(cli: Cli, cloud: Path, tmp_path: Path) -> None:
    for ending, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        out, again = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
        for path in (out, again):
            assert cli("view", cloud, "--out", path).code == 0
        assert out.read_bytes().startswith(begins)
        assert out.read_bytes() == again.read_bytes()
    assert b"<image" in (tmp_path / "a.svg").read_bytes()  # dots are pixels, and no element each


def test_a_report_is_one_svg_or_a_page_for_each_chart(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    from spikecli.view.drawing.chart import blank, dress, place
    from spikecli.view.drawing.report import REPORTS
    from spikecli.view.drawing.sections import Report, Section
    from spikecli.view.drawing.theme import THEMES

    theme = THEMES["light"]
    sections = []
    for name in ("curves", "dots"):
        figure = blank(2.0, theme)
        dress(place(figure, 1.0, 0.4, 2.0, 1.0), theme, name)
        sections.append(Section(name, "a note", figure, flat=name == "dots", headed=True))
    report = Report("a run", "ten epochs", theme, tuple(sections))
    for ending in (".svg", ".pdf"):
        REPORTS[ending](report, tmp_path / f"r{ending}")
    root = ElementTree.parse(tmp_path / "r.svg").getroot()
    inner = [child.tag.rpartition("}")[2] for child in root]
    assert inner[:3] == ["title", "desc", "rect"] and (root[0].text, root[1].text) == ("a run", "ten epochs")
    assert inner[3:] == ["svg", "svg", "svg", "svg", "image"]  # title, heading, curves, heading, dots
    tops = [float(child.get("y")) for child in root[3:]]
    assert tops == sorted(tops) and float(root.get("height")[:-2]) == pytest.approx(72 * (0.62 + 2 * (0.56 + 2.0)))
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "r.pdf").read_bytes())) == 2
    assert all(len(section.figure.texts) == 0 for section in sections)
