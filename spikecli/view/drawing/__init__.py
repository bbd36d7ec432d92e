"""Drawing: canvas, charts, films, pages, windows, reports."""
