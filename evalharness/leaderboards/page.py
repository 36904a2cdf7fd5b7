"""The table as a page: sorted by a click, filtered, raw or normalised, with a picture of every interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from evalharness.leaderboards import shown
from evalharness.leaderboards.board import Board, Cell, ColumnTable, Number, Row
from evalharness.leaderboards.page_sections import column_sections, trend_section
from evalharness.pages.shell import page
from evalharness.pages.whisker import Scale, scale_of, whisker

SIZES: Mapping[str, tuple[float, float]] = {
    "up to 1B": (0, 1e9),
    "1B to 10B": (1e9, 1e10),
    "10B to 100B": (1e10, 1e11),
    "above 100B": (1e11, float("inf")),
}
"""What the filter of sizes offers: parameters above the first number, up to the second."""


def html(board: Board) -> str:
    folder = Path(__file__).parent
    body = [
        f"<p>{escape(board.definition.description)}</p>" if board.definition.description else "",
        _controls(board),
        _table(board),
        _footnotes(board),
        "<h2>Notes</h2>\n<ul>\n" + "".join(f"<li>{escape(note)}</li>\n" for note in board.notes) + "</ul>",
        trend_section(board),
        column_sections(board),
    ]
    style = (folder / "leaderboard.css").read_text(encoding="utf-8")
    script = (folder / "leaderboard.js").read_text(encoding="utf-8")
    return page(board.title, "\n".join(part for part in body if part), styles=[style], scripts=[script])


# --------------------------------------------------------------------------- what the reader can choose


def _controls(board: Board) -> str:
    parts = []
    if any(cell.normalised for row in board.rows for cell in row.cells.values()):
        chosen = board.definition.normalisation == "chance"
        radios = "".join(
            f'<label><input type="radio" name="scale" value="{value}"{checked}> {value}</label>'
            for value, checked in (("raw", "" if chosen else " checked"), ("normalised", " checked" if chosen else ""))
        )
        parts.append(f"<fieldset><legend>Scores</legend>{radios}</fieldset>")
    for name in board.definition.filters:
        parts.append(_types(board) if name == "type" else _choice(board, name))
    parts.append('<label><input type="checkbox" id="facts"> n, protocol, date and samples of every cell</label>')
    count = len(board.rows)
    return (
        f'<form class="controls" aria-label="What is shown">\n{"".join(parts)}\n</form>\n'
        f'<p id="count" class="faint" role="status">{count} of {count} models</p>'
    )


def _choice(board: Board, name: str) -> str:
    if name == "family":
        options = sorted({row.model.family for row in board.rows if row.model.family})
    else:
        present = {_size(row) for row in board.rows}
        options = [size for size in SIZES if size in present]
    if not options:
        return ""
    texts = "".join(f'<option value="{escape(option)}">{escape(option)}</option>' for option in options)
    return (
        f'<label>{name.capitalize()} <select data-filter="{name}"><option value="">all</option>{texts}</select></label>'
    )


def _types(board: Board) -> str:
    types = sorted({row.model.type for row in board.rows if row.model.type})
    if not types:
        return ""
    boxes = "".join(
        f'<label><input type="checkbox" data-filter="type" value="{kind}" checked> {kind}</label>' for kind in types
    )
    return f"<fieldset><legend>Type</legend>{boxes}</fieldset>"


def _size(row: Row) -> str:
    """The class of a model's size; empty where that is not known."""
    parameters = row.model.parameters
    if parameters is None:
        return ""
    return next((name for name, (above, most) in SIZES.items() if above < parameters <= most), "")


# --------------------------------------------------------------------------- the table


def _table(board: Board) -> str:
    heads = [_head("rank"), _head("model")]
    if board.average_name:
        heads.append(_head(board.average_name, board.average_higher_is_better))
    heads += [_head(ability) for ability in board.abilities]
    heads += [_head(table.column.name, table.higher_is_better) for table in board.columns]
    heads += [_head(name) for name in board.definition.efficiency]
    raws = [scale_of(_ends(cell.raw for cell in _column(board, table))) for table in board.columns]
    scaled = [scale_of(_ends(cell.normalised for cell in _column(board, table))) for table in board.columns]
    rows = "\n".join(_row(board, row, raws, scaled) for row in board.rows)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Leaderboard">\n'
        '<table class="sortable board">\n<caption>A click on a head sorts. Values have 95 % intervals.</caption>\n'
        f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _head(name: str, higher_is_better: bool | None = None) -> str:
    arrow = ""
    if higher_is_better is not None:
        said = "higher is better" if higher_is_better else "lower is better"
        arrow = f' <span aria-hidden="true">{shown.arrow(higher_is_better)}</span><span class="said">, {said}</span>'
    kind = "" if name == "model" else ' class="number"'
    return f'<th scope="col"{kind}><button type="button">{escape(name)}{arrow}</button></th>'


def _column(board: Board, table: ColumnTable) -> list[Cell]:
    return [row.cells[table.column.name] for row in board.rows if table.column.name in row.cells]


def _ends(numbers: Iterable[Number | None]) -> list[float | None]:
    return [end for number in numbers if number for end in (number.value, number.low, number.high)]


def _row(board: Board, row: Row, raws: Sequence[Scale | None], scaled: Sequence[Scale | None]) -> str:
    model = row.model
    name = escape(model.name)
    title = f'<a href="{escape(model.link)}">{name}</a>' if model.link else name
    about = " · ".join(escape(text) for text in (model.family, model.size, model.type) if text)
    rank = row.rank
    tied = f'<span class="small faint">as {escape(", ".join(rank.tied))}</span>' if rank and rank.tied else ""
    place = "" if rank is None else f"{rank.best + rank.worst / 1000:g}"
    cells = [
        f'<td class="number" data-value="{place}">{shown.rank(rank)}{tied}</td>',
        f'<th scope="row" data-value="{name}">{title}<span class="small faint">{about}</span></th>',
    ]
    if board.average_name:
        cells.append(_plain(row.average, shown.average(board, row.average)))
    cells += [
        _plain(row.groups[ability], shown.group(board, ability, row.groups[ability])) for ability in board.abilities
    ]
    for table, raw, normalised in zip(board.columns, raws, scaled, strict=True):
        cells.append(_cell(row.cells.get(table.column.name), table, raw, normalised))
    for value, text in zip(row.efficiency.values(), shown.quantities(board, row), strict=True):
        cells.append(f'<td class="number" data-value="{"" if value is None else value}">{escape(text)}</td>')
    facts = {"family": model.family, "size": _size(row), "type": model.type or ""}
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in facts.items())
    return f"<tr {attributes}>{''.join(cells)}</tr>"


def _plain(found: Number | None, text: str) -> str:
    return f'<td class="number" data-value="{found.value if found else ""}">{_two_lines(text)}</td>'


def _cell(cell: Cell | None, table: ColumnTable, raw: Scale | None, normalised: Scale | None) -> str:
    if cell is None:
        return '<td class="number" data-value=""></td>'
    note = ""
    if cell.footnote is not None:
        note = f'<sup><a href="#note-{cell.footnote}" aria-label="note {cell.footnote}">{cell.footnote}</a></sup>'
    kept = _shown(cell.raw, shown.score(cell.raw, unit_interval=table.unit_interval), raw, note)
    if table.column.chance is None:  # on the other scale it has no place, so that it stays as it is
        values, texts = (cell.raw, cell.raw), kept
    else:
        moved = _shown(cell.normalised, shown.points(cell.normalised), normalised, note)
        values = (cell.raw, cell.normalised)
        texts = f'<span class="raw">{kept}</span><span class="normalised">{moved}</span>'
    # A cell that counts nowhere is no value to sort by.
    first, second = (number.value if number and cell.footnote is None else "" for number in values)
    facts = f"n {cell.n:,} · {escape(cell.date)}<br>{escape(cell.protocol_hash)}"
    if cell.link:
        facts += f' · <a href="{escape(cell.link)}">samples</a>'
    kind = "number" if cell.footnote is None else "number uncounted"
    return (
        f'<td class="{kind}" data-raw="{first}" data-normalised="{second}">{texts}'
        f'<span class="small facts">{facts}</span></td>'
    )


def _shown(number: Number | None, text: str, scale: Scale | None, note: str) -> str:
    picture = whisker(number.value, number.low, number.high, scale, text) if number and scale else ""
    return f"{_two_lines(text or 'none', note)}{picture}"


def _two_lines(text: str, note: str = "") -> str:
    """The value with the number of its footnote, and its interval smaller below it."""
    value, _, interval = text.partition(" ")
    return f'{value}{note}<span class="small faint">{interval}</span>' if interval else f"{value}{note}"


def _footnotes(board: Board) -> str:
    if not board.footnotes:
        return ""
    notes = "".join(f'<li id="note-{number}">{escape(note)}</li>\n' for number, note in enumerate(board.footnotes, 1))
    return f'<section aria-label="Footnotes">\n<ol class="footnotes">\n{notes}</ol>\n</section>'
