"""Two runs of one task, sample by sample: what one mended, what it broke, and what that says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalharness.comparison.difference import Difference, difference
from evalharness.comparison.pairing import Paired, paired
from evalharness.errors import NotComparableError
from evalharness.records.scores import Scores
from evalharness.viewer.index import Index

CHANGES = {
    "fixed": "the second run does better",
    "broken": "the second run does worse",
    "unchanged": "the scores are equal",
    "unscored": "one of the two has no score that is a number",
    "first": "only the first run has them",
    "second": "only the second run has them",
}
"""What can have become of a sample, with its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """The second run beside the first one, in one metric."""

    pair: Paired
    metric: str
    difference: Difference | None
    """None where no sample has a number on both sides."""
    ids: Mapping[str, Sequence[str]]
    """By change, sorted by id."""


def run_diff(first: Scores, second: Scores, metric: str | None) -> RunDiff:
    """Compare two runs whatever keeps them from comparing; that is in `pair.obstacles`.

    Raises:
        NotComparableError: they share no sample, or no such metric.
    """
    pair = paired(first, second, force=True)
    name = metric or first.headline
    for scores in (first, second):
        if name not in scores.metrics:
            raise NotComparableError(
                f"{scores.place} has no metric '{name}'; its metrics are {', '.join(scores.metrics)}."
            )
    found = difference(pair.samples, name, first.metrics[name])
    better, worse = (set(found.better), set(found.worse)) if found else (set(), set())
    ids: dict[str, list[str]] = {change: [] for change in CHANGES}
    for old, new in pair.samples:
        if old.id in better:
            ids["fixed"].append(old.id)
        elif old.id in worse:
            ids["broken"].append(old.id)
        elif _equal(old.scores.get(name), new.scores.get(name)):
            ids["unchanged"].append(old.id)
        else:
            ids["unscored"].append(old.id)
    ids["first"] = sorted(first.samples.keys() - second.samples.keys())
    ids["second"] = sorted(second.samples.keys() - first.samples.keys())
    return RunDiff(pair=pair, metric=name, difference=found, ids=ids)


def outcome_changes(first: Index, second: Index) -> list[tuple[str, str, int]]:
    """From what to what the first verdict of a sample changed, and of how many samples; the most frequent first."""
    if not first.label_names or not second.label_names:
        return []
    pairs = Counter((first.outcome(id), second.outcome(id)) for id in first.ids if id in second.row_of)
    return [
        (old, new, n) for (old, new), n in pairs.most_common() if old is not None and new is not None and old != new
    ]


def _equal(old: float | None, new: float | None) -> bool:
    """NaN equals nothing, and neither better nor worse than it is anything."""
    return old is not None and old == new
