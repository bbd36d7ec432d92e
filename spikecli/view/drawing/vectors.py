"""A report as vectors: one tall SVG, or a PDF with a page for each chart."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecli.files.atomic import atomic_path, write_text
from spikecli.view.drawing.canvas import WIDTH, pixels
from spikecli.view.drawing.chart import LABEL, TITLE
from spikecli.view.drawing.picture import DOTS, STYLE
from spikecli.view.drawing.sections import Report, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 72  # an inch
HEAD = 0.56  # inches above a chart for its heading


def svg_of(figure: Figure, texts: str = "path") -> str:
    """Return a figure as an SVG element; `texts` "none" leaves letters to the reader's fonts."""
    from matplotlib import rc_context

    with rc_context({**STYLE, "svg.fonttype": texts}):
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None}, facecolor=figure.get_facecolor())
    return written.getvalue()[written.getvalue().index("<svg") :]


def save_svg(figures: list[tuple[Figure, bool]], path: Path, paper: str, title: str = "", caption: str = "") -> None:
    """Write figures one above the other, centered, as one SVG; a pair's second says that its figure stays pixels.

    The title and the caption are the file's own `title` and `desc`.
    """
    width, top, parts = WIDTH * POINTS, 0.0, []
    for figure, flat in figures:
        wide, high = (POINTS * float(side) for side in figure.get_size_inches())
        place = f'x="{(width - wide) / 2:g}" y="{top:g}" width="{wide:g}" height="{high:g}"'
        if flat:
            parts.append(f'<image {place} xlink:href="data:image/png;base64,{_png(figure)}"/>')
        else:
            inner = re.sub(r"<svg[^>]*>", f'<svg {place} viewBox="0 0 {wide:g} {high:g}">', svg_of(figure), count=1)
            parts.append(inner)
        top += high
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1"'
    size = f'width="{width:g}pt" height="{top:g}pt" viewBox="0 0 {width:g} {top:g}"'
    ground = f'<rect width="100%" height="100%" fill="{paper}"/>'
    about = f"<title>{html.escape(title)}</title><desc>{html.escape(caption)}</desc>"
    write_text(path, "\n".join([f"<svg {names} {size}>", about, ground, *parts, "</svg>", ""]))


def save_pdf(report: Report, path: Path) -> None:
    """Write a report as a PDF, a page for each of its charts; the report's title is on the first."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    about = {"CreationDate": None, "Title": report.title, "Subject": report.subtitle}
    with atomic_path(path) as temporary, rc_context(STYLE), PdfPages(temporary, metadata=about) as pages:
        first = True
        for figure, section in _charts(report):
            lines = [(report.title, report.subtitle, 13.0)] if first else []
            lines += [(section.heading, section.note, TITLE)] if section.headed else []
            _add_page(pages, figure, lines, report)
            first = False


def _charts(report: Report) -> Iterator[tuple[Figure, Section]]:
    for section in report.sections:
        if section.figure is not None:
            yield (_as_image(section.figure) if section.flat else section.figure), section


def _add_page(pages: Any, figure: Figure, lines: list[tuple[str, str, float]], report: Report) -> None:
    """Add a page: the lines (heading, note, size) above the figure, which is as it was afterwards."""
    from matplotlib.transforms import Bbox

    width, height = (float(side) for side in figure.get_size_inches())
    style: dict[str, Any] = {"ha": "left", "color": report.theme.ink}
    added = []
    for place, (heading, note, size) in enumerate(reversed(lines)):
        bottom = height + HEAD * place
        wide = (width - 0.4) * POINTS
        size, small = min(size, wide / (0.66 * max(len(heading), 1))), min(LABEL, wide / (0.55 * max(len(note), 1)))
        at = 0.2 / width
        added.append(figure.text(at, (bottom + 0.28) / height, heading, fontsize=size, fontweight="bold", **style))
        added.append(figure.text(at, (bottom + 0.1) / height, note, fontsize=small, alpha=0.8, **style))
    box = Bbox.from_bounds(0, 0, width, height + HEAD * len(lines))
    try:
        pages.savefig(figure, bbox_inches=box, dpi=DOTS, facecolor=report.theme.paper)
    finally:
        for text in added:
            text.remove()


def _as_image(figure: Figure) -> Figure:
    """Return a figure of the same size that shows another's pixels."""
    from matplotlib.figure import Figure

    page = Figure(figsize=tuple(figure.get_size_inches()), facecolor=figure.get_facecolor())
    axes = page.add_axes((0, 0, 1, 1))
    axes.imshow(pixels(figure, DOTS), aspect="auto")
    axes.set_axis_off()
    return page


def _png(figure: Figure) -> str:
    written = io.BytesIO()
    pixels(figure, DOTS).save(written, format="PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()
