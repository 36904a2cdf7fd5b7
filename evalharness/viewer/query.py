"""What is wanted of a run's samples, as an address says it, and the rows that answer it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalharness.errors import UsageError, nearest
from evalharness.records.encode import FLAGS
from evalharness.viewer.index import Index
from evalharness.viewer.line_facts import BITS
from evalharness.viewer.search import found_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAGE = 50
"""Samples a page."""
OUTCOMES = ("any", "right", "wrong")
SORTS = ("order", "-order", "id", "-id", "score", "-score")
"""A minus turns the order around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Conditions of different kinds must all hold; of several flags, or verdicts, any one is enough."""

    outcome: str = "any"
    """right is a score of 1, wrong a score below 1 or one that is no number; a sample that failed is neither."""
    flags: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    """Labels that some verdict of the sample has."""
    subset: str | None = None
    low: float | None = None
    """Least score."""
    high: float | None = None
    """Greatest score."""
    text: str = ""
    """Stands in the id, in a prompt, or in what was said; the case of the letters A to Z does not matter."""
    metric: str | None = None
    """Whose scores these are; the first one unless given."""
    sort: str = "order"
    page: int = 1

    def parameters(self) -> dict[str, Any]:
        """As `query_of` reads it; what is at its default is left out."""
        told = {
            "outcome": None if self.outcome == "any" else self.outcome,
            "flag": list(self.flags) or None,
            "verdict": list(self.verdicts) or None,
            "subset": self.subset,
            "low": self.low,
            "high": self.high,
            "text": self.text or None,
            "metric": self.metric,
            "sort": None if self.sort == "order" else self.sort,
            "page": None if self.page == 1 else self.page,
        }
        return {key: value for key, value in told.items() if value is not None}

    @property
    def needs_all(self) -> bool:
        """Whether the beginning of the journal does not answer it."""
        return self.parameters().keys() - {"metric"} != set()

    @property
    def filters(self) -> bool:
        """Whether something besides a text narrows the samples."""
        return self.parameters().keys() - {"text", "sort", "page"} != set()

    def turned_to(self, page: int) -> Query:
        return replace(self, page=page)

    def sorted_by(self, column: str) -> Query:
        """By this column; the other way around where it is by it already."""
        return replace(self, sort=f"-{column}" if self.sort == column else column, page=1)


def query_of(parameters: Mapping[str, Sequence[str]]) -> Query:
    """The query of an address; empty values are as good as none.

    Raises:
        UsageError: a value is not what it can be.
    """
    given = {key: [value for value in values if value != ""] for key, values in parameters.items()}
    one = {key: values[-1] for key, values in given.items() if values}
    flags = given.get("flag", [])
    for flag in flags:
        _known("flag", flag, FLAGS)
    page = one.get("page", "1")
    if not page.isascii() or not page.isdigit() or int(page[:12]) < 1:
        raise UsageError(f"page={page}: pages are counted 1, 2, 3.")
    return Query(
        outcome=_known("outcome", one.get("outcome", "any"), OUTCOMES),
        flags=tuple(flag for flag in FLAGS if flag in flags),
        verdicts=tuple(sorted(set(given.get("verdict", [])))),
        subset=one.get("subset"),
        low=_number("low", one.get("low")),
        high=_number("high", one.get("high")),
        text=one.get("text", ""),
        metric=one.get("metric"),
        sort=_known("sort", one.get("sort", "order"), SORTS),
        page=int(page[:12]),
    )


def _known(key: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UsageError(f"{key}={value}: {nearest(value, known)}")
    return value


def _number(key: str, value: str | None) -> float | None:
    try:
        number = None if value is None else float(value)
    except ValueError:
        number = math.nan
    if number is not None and math.isnan(number):
        raise UsageError(f"{key}={value}: a score is a number, as 0.5 is.")
    return number


# --------------------------------------------------------------------------- its answer


def rows_of(index: Index, query: Query) -> NDArray[np.int64]:
    """The rows that fit, sorted.

    Raises:
        UsageError: the run has no such metric, subset or verdict.
        DataError, DiskError: a text is searched, and the journal is gone or cannot be read.
    """
    import numpy as np

    fits = np.ones(len(index), bool)
    name = metric_of(index, query)
    if name is None:
        values, scored = np.full(len(index), np.nan), np.zeros(len(index), bool)
    else:
        values, scored = index.scores[name], index.scored[name]
    if query.flags:
        fits &= (index.flags & sum(BITS[flag] for flag in query.flags)) != 0
    if query.verdicts:
        fits &= (index.labels & _bits_of(index, query.verdicts)) != 0
    if query.subset is not None:
        fits &= index.subsets == _known_subset(index, query.subset)
    if query.outcome != "any":
        fits &= scored & ((values >= 1) == (query.outcome == "right"))
    if query.low is not None:
        fits &= values >= query.low
    if query.high is not None:
        fits &= values <= query.high
    rows = np.flatnonzero(fits)
    if query.text:
        rows = found_in(index, rows, query.text)
    return _sorted(index, rows, values, query.sort)


def metric_of(index: Index, query: Query) -> str | None:
    """The metric that the query is about; None where no sample has a score.

    Raises:
        UsageError: the run has no such metric.
    """
    if query.metric is not None and query.metric not in index.scores and index.complete:
        raise UsageError(f"metric={query.metric}: the run has no such metric; {nearest(query.metric, index.scores)}")
    return query.metric if query.metric in index.scores else next(iter(index.scores), None)


def _known_subset(index: Index, subset: str) -> int:
    if subset not in index.subset_names:
        raise UsageError(f"subset={subset}: the run has no such subset; {nearest(subset, index.subset_names)}")
    return index.subset_names.index(subset)


def _bits_of(index: Index, verdicts: Sequence[str]) -> np.uint64:
    import numpy as np

    for verdict in verdicts:
        if verdict not in index.label_names:
            raise UsageError(f"verdict={verdict}: no verdict of the run is so; {nearest(verdict, index.label_names)}")
    return np.uint64(sum(1 << index.label_names.index(verdict) for verdict in verdicts))


def _sorted(index: Index, rows: NDArray[np.int64], values: NDArray[np.float64], sort: str) -> NDArray[np.int64]:
    """Stable: equals stay in the order of writing; what is no number is last, whichever way."""
    import numpy as np

    column, down = sort.removeprefix("-"), sort.startswith("-")
    if column == "order":
        return rows[::-1] if down else rows
    keys = values[rows] if column == "score" else index.id_ranks[rows].astype(np.float64)
    return rows[np.argsort(-keys if down else keys, kind="stable")]
