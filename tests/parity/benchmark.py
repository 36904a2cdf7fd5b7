"""A benchmark on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


def _as_it_is(row: Row) -> Row:
    return row


@dataclass(frozen=True)
class Benchmark:
    """A task of ours, lm-eval's of the same benchmark, and rows for both."""

    task: str
    lm_eval: str
    place: str
    """``org/name/config`` in a mirror."""
    split: str
    rows: tuple[Row, ...]
    pool_split: str | None = None
    pool: tuple[Row, ...] = ()
    shots: int = 0
    """lm-eval's own number."""
    shows_demonstrations: bool = True
    """Whether lm-eval can; it refuses them where several choices are right."""
    theirs: Callable[[Row], Row] = _as_it_is
    """A row as lm-eval's source of the benchmark has it, where that is another one."""

    @property
    def splits(self) -> dict[str, tuple[Row, ...]]:
        """As lm-eval wants them: every split that its task names must be there."""
        rows, pool = self.their(self.rows), self.their(self.pool)
        splits = {"train": pool or rows, "validation": rows, "test": rows}
        return splits | ({self.pool_split: pool} if self.pool_split else {})

    def their(self, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(self.theirs(row) for row in rows)
