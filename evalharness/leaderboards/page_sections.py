"""What stands below the table: each column with the pairs that its samples do not tell apart, and the trend."""

from __future__ import annotations

from html import escape

from evalharness.leaderboards import shown
from evalharness.leaderboards.board import Board, ColumnTable
from evalharness.leaderboards.gaps import Gap
from evalharness.leaderboards.trend_lines import Series
from evalharness.leaderboards.trend_plot import plot


def column_sections(board: Board) -> str:
    return "\n".join(_column(table, number) for number, table in enumerate(board.columns, 1))


def _column(table: ColumnTable, number: int) -> str:
    column = table.column
    facts = [
        f"{column.task}, version {table.version}",
        f"protocol {table.protocol} {table.protocol_hash}",
        f"{table.metric}, {'higher' if table.higher_is_better else 'lower'} is better",
        f"n {table.n:,}",
    ]
    if column.chance is not None:
        facts.append(f"chance {column.chance:g}, best {column.best:g}")
    told = f"{len(table.unseparated)} of {len(table.gaps)} pairs of models are not told apart by these samples."
    return (
        f'<section aria-labelledby="column-{number}">\n<h2 id="column-{number}">{escape(column.name)}</h2>\n'
        f'<p class="faint">{escape(" · ".join(facts))}</p>\n<p>{told}</p>\n{_pairs(table)}\n</section>'
    )


def _pairs(table: ColumnTable) -> str:
    if not table.unseparated:
        return ""
    heads = "".join(
        f'<th scope="col"><button type="button">{name}</button></th>'
        for name in ("first", "second", "difference", "95 % interval", "p adjusted")
    )
    rows = "\n".join(_pair(gap, table) for gap in table.unseparated)
    return (
        f'<details><summary>The pairs</summary>\n<div class="scroll" tabindex="0" role="region" '
        f'aria-label="Pairs of {escape(table.column.name)}">\n<table class="sortable">\n'
        "<caption>The first less the second, over the samples that both answered; p over all pairs, Holm.</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n</details>"
    )


def _pair(gap: Gap, table: ColumnTable) -> str:
    value, low, high = (_signed(number, table) for number in (gap.value, gap.low, gap.high))
    return (
        f"<tr><td>{escape(gap.first)}</td><td>{escape(gap.second)}</td>"
        f'<td class="number" data-value="{shown.rounded(gap.value)}">{value}</td>'
        f'<td class="number" data-value="{"" if gap.low is None else shown.rounded(gap.low)}">'
        f"{shown.interval(low, high)}</td>"
        f'<td class="number" data-value="{shown.rounded(gap.p_adjusted)}">{escape(shown.p_value(gap.p_adjusted))}</td>'
        "</tr>"
    )


def _signed(value: float | None, table: ColumnTable) -> str:
    """Points of a hundred where scores lie in [0, 1]."""
    if value is None:
        return ""
    return f"{100 * value:+.1f}" if table.unit_interval else f"{value:+.3g}"


def trend_section(board: Board) -> str:
    """A plot of every series, and its numbers as a table for who does not see it."""
    wanted = board.definition.trend
    if wanted is None or not board.trend:
        return ""
    plots = "\n".join(_series(series) for series in board.trend)
    return f'<section aria-labelledby="trend">\n<h2 id="trend">{escape(wanted.title)}</h2>\n{plots}\n</section>'


def _series(series: Series) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(point.checkpoint)}</td>"
        + "".join(
            f'<td class="number">{"" if number is None else f"{number:.4g}"}</td>'
            for number in (point.value, point.low, point.high)
        )
        + "</tr>"
        for point in series.points
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("checkpoint", "value", "low", "high"))
    return (
        f"<figure>\n<figcaption>{escape(series.title)}: {escape(series.what)}</figcaption>\n{plot(series)}\n"
        f"<details><summary>Its numbers</summary>\n<table>\n<caption>{escape(series.title)}</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</details>\n</figure>"
    )
