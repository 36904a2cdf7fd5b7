"""A leaderboard as data, which every format is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalharness.leaderboards.gaps import Gap
from evalharness.leaderboards.options import Column, Leaderboard, Model
from evalharness.leaderboards.trend_lines import Series
from evalharness.stats.ranks import Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A value with its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one model scored in one column."""

    raw: Number | None
    """In the metric's own unit; None where its value is no finite number."""
    normalised: Number | None
    """From 0 (chance) to 100 (best); None where the column declares no chance."""
    n: int
    """Scored samples."""
    protocol_hash: str
    """12 digits."""
    date: str
    """On which the run began."""
    run: str
    link: str | None = None
    """Where the samples can be read."""
    footnote: int | None = None
    """Number of the note that says why the cell counts in no rank and no average; None where it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTable:
    """What holds for a whole column."""

    column: Column
    metric: str
    higher_is_better: bool
    unit_interval: bool
    """Whether every score lies in [0, 1]."""
    protocol: str
    protocol_hash: str
    version: int
    n: int
    ranks: Mapping[str, Rank]
    """By model, of those whose cells count."""
    gaps: tuple[Gap, ...]
    """All pairs of them."""
    unseparated: tuple[Gap, ...]
    """Those that the samples do not tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model."""

    model: Model
    rank: Rank | None
    cells: Mapping[str, Cell]
    """By column; without those that the model has no run of."""
    average: Number | None
    groups: Mapping[str, Number | None]
    """By ability."""
    efficiency: Mapping[str, float | None]
    """tokens, seconds, memory in bytes, cost: over the runs of all columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The whole table, in its order."""

    definition: Leaderboard
    columns: tuple[ColumnTable, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...]
    """Number 1 first."""
    notes: tuple[str, ...]
    trend: tuple[Series, ...]

    @property
    def title(self) -> str:
        return self.definition.title or self.definition.leaderboard

    @property
    def abilities(self) -> list[str]:
        """Those that have an average."""
        return list(self.rows[0].groups)

    @property
    def average_name(self) -> str | None:
        return {"macro": "average", "win_rate": "mean win rate", "none": None}[self.definition.average]

    @property
    def average_unit_interval(self) -> bool:
        """Whether averages lie in [0, 1]; normalised ones go up to 100."""
        if self.definition.average == "win_rate":
            return True
        averaged = [column for column in self.columns if column.column.averaged]
        return self.definition.normalisation == "none" and all(column.unit_interval for column in averaged)

    @property
    def average_higher_is_better(self) -> bool:
        if self.definition.average == "win_rate" or self.definition.normalisation == "chance":
            return True
        return next((column.higher_is_better for column in self.columns if column.column.averaged), True)
