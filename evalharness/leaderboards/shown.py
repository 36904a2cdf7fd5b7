"""The one place where numbers are rounded and become texts."""

from __future__ import annotations

import math

from evalharness.leaderboards.board import Board, Number, Row
from evalharness.stats.ranks import Rank


def rounded(value: float | None) -> float | None:
    """Six significant digits, so that two machines agree on every byte; None where it is no finite number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def decimal(value: float | None, *, unit_interval: bool) -> str:
    """Three decimals of what lies in [0, 1], else four significant digits; empty where there is none."""
    if value is None:
        return ""
    return f"{value:.3f}" if unit_interval else f"{value:.4g}"


def hundredth(value: float | None) -> str:
    """On the scale from 0 to 100."""
    return "" if value is None else f"{value:.1f}"


def interval(low: str, high: str) -> str:
    return f"[{low}, {high}]" if low and high else ""


def rank(found: Rank | None) -> str:
    """``1``, ``2-4``; empty where a model has no value to be ranked by."""
    if found is None:
        return ""
    return str(found.best) if found.best == found.worst else f"{found.best}-{found.worst}"


def p_value(value: float) -> str:
    return "< .0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0") if value < 1 else "1"


def quantities(board: Board, row: Row) -> list[str]:
    """What a model took: tokens, seconds, memory in MiB, cost; empty where it is not known."""
    return [_quantity(name, value, board.definition.currency) for name, value in row.efficiency.items()]


def _quantity(name: str, value: float | None, currency: str) -> str:
    if value is None:
        return ""
    texts = {"tokens": f"{value:,.0f}", "seconds": f"{value:,.1f} s", "memory": f"{value / 2**20:,.1f} MiB",
             "cost": f"{value:,.4f} {currency}"}  # fmt: skip
    return texts[name]


def score(found: Number | None, *, unit_interval: bool) -> str:
    """``0.490 [0.441, 0.539]``; empty where there is no value."""
    if found is None:
        return ""
    value, low, high = (decimal(number, unit_interval=unit_interval) for number in (found.value, found.low, found.high))
    return f"{value} {interval(low, high)}".rstrip()


def points(found: Number | None) -> str:
    """``65.3 [58.8, 71.9]``, on the scale from 0 to 100."""
    if found is None:
        return ""
    ends = interval(hundredth(found.low), hundredth(found.high))
    return f"{hundredth(found.value)} {ends}".rstrip()


def average(board: Board, found: Number | None) -> str:
    """The average over the columns, in the unit that the board has it in."""
    if board.definition.normalisation == "chance" and board.definition.average == "macro":
        return points(found)
    return score(found, unit_interval=board.average_unit_interval)


def group(board: Board, ability: str, found: Number | None) -> str:
    """An ability's average: in points where scores are normalised."""
    if board.definition.normalisation == "chance":
        return points(found)
    members = board.definition.abilities[ability]
    tables = [table for table in board.columns if table.column.name in members and table.column.averaged]
    return score(found, unit_interval=all(table.unit_interval for table in tables))


def arrow(higher_is_better: bool) -> str:
    """Which way is better."""
    return "↑" if higher_is_better else "↓"
