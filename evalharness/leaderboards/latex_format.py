"""The table as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.leaderboards import shown
from evalharness.leaderboards.board import Board, Row

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", **{sign: "\\" + sign for sign in "&%$#_{}"},
}  # fmt: skip


def escape_latex(text: str) -> str:
    """A text that LaTeX sets as it stands."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def latex(board: Board) -> str:
    """A table for `booktabs`, with the footnotes below it."""
    averages = [f"{board.average_name} {_latex_arrow(board.average_higher_is_better)}"] if board.average_name else []
    head = ["rank", "model", *averages, *map(escape_latex, board.abilities)]
    head += [f"{escape_latex(table.column.name)} {_latex_arrow(table.higher_is_better)}" for table in board.columns]
    head += board.definition.efficiency
    rows = [_latex_row(board, row) for row in board.rows]
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{@{{}}ll{'r' * (len(head) - 2)}@{{}}}}",
        "\\toprule",
        " & ".join(head) + r" \\",
        "\\midrule",
        *(" & ".join(cells) + r" \\" for cells in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    notes = [
        f"\\par\\footnotesize $^{{{number}}}$ {escape_latex(note)}" for number, note in enumerate(board.footnotes, 1)
    ]
    return "\n".join(lines + notes) + "\n"


def _latex_row(board: Board, row: Row) -> Sequence[str]:
    cells = [shown.rank(row.rank).replace("-", "--"), escape_latex(row.model.name)]
    if board.average_name:
        cells.append(_small_interval(shown.average(board, row.average)))
    cells += [_small_interval(shown.group(board, ability, row.groups[ability])) for ability in board.abilities]
    for table in board.columns:
        cell = row.cells.get(table.column.name)
        text = _small_interval(shown.score(cell.raw, unit_interval=table.unit_interval)) if cell else ""
        cells.append(f"{text}$^{{{cell.footnote}}}$" if cell and cell.footnote else text)
    return [*cells, *map(escape_latex, shown.quantities(board, row))]


def _small_interval(text: str) -> str:
    value, space, interval = text.partition(" ")
    return f"{value}{space}{{\\scriptsize {interval}}}" if interval else value


def _latex_arrow(higher_is_better: bool) -> str:
    return r"$\uparrow$" if higher_is_better else r"$\downarrow$"
