"""Scaling fits as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from evalharness.pages.shell import asset, page
from evalharness.report.tables import Cell, table, text
from evalharness.scaling.analysis import Analysis
from evalharness.scaling.figures import figures
from evalharness.scaling.wording import Table, tables


def scaling_page(analysis: Analysis, confidence: float) -> bytes:
    """UTF-8."""
    runs = len(analysis.fitted) + len(analysis.held_out)
    body = "".join(_tables(tables(analysis, confidence)))
    body += f"<h2>Pictures</h2>\n{figures(analysis, confidence)}"
    return page(f"Scaling laws of {runs} runs", body, styles=[asset("curves.css")]).encode("utf-8", errors="replace")


def _tables(found: Sequence[Table]) -> Iterator[str]:
    for one in found:
        yield f"<h2>{escape(one.title)}</h2>\n"
        if one.rows:
            yield table(one.title, one.head, [[_cell(value) for value in row] for row in one.rows], sortable=False)
        yield "".join(f"<p>{escape(note)}</p>\n" for note in one.notes)


def _cell(value: str) -> Cell:
    """What begins with a digit stands on the right, under others of its kind."""
    return Cell(escape(value), None, number=True) if value[:1].isdigit() or value[:1] == "-" else text(value)
