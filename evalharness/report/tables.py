"""Tables and numbers of a report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

MOST_VALUES = 20
"""Different values that are listed where they are counted."""


class Cell(NamedTuple):
    """One cell of a table."""

    html: str
    """Already escaped."""
    value: float | None = None
    """What it is sorted by, in place of its text."""
    number: bool = False


def text(value: object) -> Cell:
    return Cell(escape(str(value)))


def number(value: float | None, form: str = ".4g") -> Cell:
    known = value is not None and math.isfinite(value)
    return Cell(shown(value, form), value if known else None, number=True)


def shown(value: float | None, form: str = ".4g") -> str:
    """A number as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return format(value, form)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, sortable: bool = True) -> str:
    """A table; the first cell of a row is its heading. Columns without a title are not sorted by."""
    numbers = [bool(rows) and rows[0][column].number for column in range(len(head))]
    titles = "".join(
        f'<th scope="col"{_class(right)}>'
        + (f'<button type="button">{escape(title)}</button>' if sortable and title else escape(title))
        + "</th>"
        for title, right in zip(head, numbers, strict=True)
    )
    body = "".join(f"<tr>{_first(row[0])}{''.join(map(_cell, row[1:]))}</tr>\n" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    return (
        f'<div class="scroll"><table{kind}><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def counted(caption: str, head: str, values: Iterable[str]) -> str:
    """A table of how often each value is there, the most frequent first; nothing of no values."""
    counts = Counter(values)
    if not counts:
        return ""
    rows = [[text(value), number(count, ",d")] for value, count in counts.most_common(MOST_VALUES)]
    if len(counts) > MOST_VALUES:
        more = counts.most_common()[MOST_VALUES:]
        rows.append([text(f"{len(more):,} others"), number(sum(count for _, count in more), ",d")])
    return table(caption, (head, "times"), rows, sortable=False)


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values, as HTML that is already escaped; what has no value is left out."""
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>\n" for name, value in rows if value)
    return f'<dl class="facts">\n{listed}</dl>\n'


def _first(cell: Cell) -> str:
    return f'<th scope="row"{_value(cell)}>{cell.html}</th>'


def _cell(cell: Cell) -> str:
    return f"<td{_class(cell.number)}{_value(cell)}>{cell.html}</td>"


def _class(right: bool) -> str:
    return ' class="number"' if right else ""


def _value(cell: Cell) -> str:
    if cell.value is not None:
        return f' data-value="{cell.value!r}"'
    # A number that is none stays at the end, whichever way the table is sorted.
    return ' data-value=""' if cell.number else ""
