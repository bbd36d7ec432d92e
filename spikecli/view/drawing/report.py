"""A report of several charts: one tall PNG, or one web page that works offline."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.files.atomic import write_text
from spikecli.view.drawing.canvas import WIDTH, pixels
from spikecli.view.drawing.chart import LABEL, TITLE, blank
from spikecli.view.drawing.picture import save_png
from spikecli.view.drawing.sections import Report, Table
from spikecli.view.drawing.theme import Theme
from spikecli.view.drawing.vectors import save_pdf, save_svg, svg_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

DOTS = 200  # pixels an inch of a picture, as of a cloud's
STYLE = """
body{{margin:0;background:{paper};color:{ink};font:15px/1.5 system-ui,sans-serif}}
main{{max-width:1000px;margin:0 auto;padding:28px 20px 60px}}
h1{{font-size:26px;margin:0}} h2{{font-size:18px;margin:38px 0 8px}} p{{margin:4px 0 10px;opacity:.8}}
svg,img{{display:block;width:100%;min-width:720px;height:auto}} .scroll{{overflow-x:auto}}
.scroll:focus-visible{{outline:2px solid {ink};outline-offset:2px}}
table{{border-collapse:collapse;font-size:13.5px}} th,td{{padding:3px 14px 3px 0;text-align:left;white-space:nowrap}}
tr{{border-bottom:1px solid {faint}}} tr.differs td{{font-weight:700}} td{{font-variant-numeric:tabular-nums}}
"""


def picture(report: Report) -> Image:
    """Return the figures of a report one above the other, under its title, as an RGB image."""
    from PIL import Image

    parts = [pixels(figure, DOTS) for figure, _ in _figures(report)]
    sheet = Image.new("RGB", (int(WIDTH * DOTS), sum(part.height for part in parts)), report.theme.paper)
    top = 0
    for part in parts:
        sheet.paste(part, ((sheet.width - part.width) // 2, top))
        top += part.height
    return sheet


def _figures(report: Report) -> list[tuple[Figure, bool]]:
    """Return the figures of a report under its title, each with whether it has too many dots for vectors."""
    figures = [(_written(report.theme, 0.62, 13.0, report.title, report.subtitle), False)]
    for section in report.sections:
        if section.headed:
            figures.append((_written(report.theme, 0.56, TITLE, section.heading, section.note, left=0.56), False))
        if section.figure:
            figures.append((section.figure, section.flat))
    return figures


def save_report_vectors(report: Report, path: Path) -> None:
    """Write a report's figures as one SVG."""
    save_svg(_figures(report), path, report.theme.paper, report.title, report.subtitle)


def save_report_picture(report: Report, path: Path) -> None:
    """Write a report's figures as one PNG."""
    save_png(_few_colors(picture(report)), path, report.title, report.subtitle)


def save_report_page(report: Report, path: Path) -> None:
    """Write a report as one HTML file: figures as SVG or PNG within it, and the tables."""
    theme, title = report.theme, html.escape(report.title)
    style = STYLE.format(paper=theme.paper, ink=theme.ink, faint=theme.faint)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><meta name="generator" content="spikecli">'
        f'<meta name="description" content="{html.escape(report.subtitle)}"><style>{style}</style></head><body><main>'
        f"<h1>{title}</h1><p>{html.escape(report.subtitle)}</p>"
    ]
    for section in report.sections:
        parts.append(f"<section><h2>{html.escape(section.heading)}</h2>")
        parts.append(f"<p>{html.escape(section.note)}</p>" if section.note else "")
        if section.figure is not None:
            flat = _inlined(section.figure, section.heading) if section.flat else svg_of(section.figure, texts="none")
            parts.append(f'<div class="scroll" tabindex="0" role="img" aria-label="{html.escape(section.heading)}">')
            parts.append(f"{flat}</div>")
        parts.append(_table(section.table) if section.table else "")
        parts.append("</section>")
    write_text(path, "\n".join([*filter(None, parts), "</main></body></html>\n"]))


def _written(theme: Theme, height: float, size: float, title: str, note: str, left: float = 0.2) -> Figure:
    """Return a strip with a bold line and a lighter one below it, small enough for the page's width."""
    figure = blank(height, theme)
    size = min(size, (WIDTH - 2 * left) * 72 / (0.66 * max(len(title), 1)))
    small = min(LABEL, (WIDTH - 2 * left) * 72 / (0.55 * max(len(note), 1)))
    style: dict[str, Any] = {"ha": "left", "color": theme.ink}
    figure.text(left / WIDTH, 0.5, title, fontsize=size, fontweight="bold", va="bottom", **style)
    figure.text(left / WIDTH, 0.4, note, fontsize=small, alpha=0.8, va="top", **style)
    return figure


def _inlined(figure: Figure, words: str) -> str:
    written = io.BytesIO()
    _few_colors(pixels(figure, DOTS)).save(written, format="PNG", optimize=True)
    return (
        f'<img alt="{html.escape(words)}" src="data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}">'
    )


def _few_colors(image: Image) -> Image:
    """Return the image in 256 colors: a third of the file size, with no visible change in charts."""
    from PIL.Image import Dither

    return image.quantize(256, dither=Dither.NONE)


def _table(table: Table) -> str:
    heads = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = [
        f"<tr{' class=differs' if number in table.differing else ''}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(table.rows)
    ]
    return f'<div class="scroll" tabindex="0"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'


REPORTS: dict[str, Callable[[Report, Path], None]] = {
    ".png": save_report_picture, ".svg": save_report_vectors, ".pdf": save_pdf, ".html": save_report_page,
}  # fmt: skip
