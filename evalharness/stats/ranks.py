"""Ranks of several systems that answered the same samples, where those that cannot be separated share one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evalharness.stats.multiplicity import holm
from evalharness.stats.paired import PairedDifference, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Where one system stands."""

    best: int
    """One more than the systems that are separably better."""
    worst: int
    """The number of systems less those that are separably worse."""
    tied: tuple[str, ...]
    """Systems that this one cannot be separated from."""


def ranks(
    scores: Mapping[str, Sequence[float]],
    clusters: Sequence[Hashable] | None = None,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> dict[str, Rank]:
    """Ranks from all paired tests, with Holm's correction over the pairs.

    A rank of 2 to 4 says that one system is separably better and two of the rest are neither: a plain order of means
    would claim more than the samples tell.

    Raises:
        UsageError: as `paired_difference` does.
    """
    pairs = list(combinations(scores, 2))
    found = [paired_difference(scores[first], scores[second], clusters) for first, second in pairs]
    p_values = holm([1.0 if pair.p_value is None else pair.p_value for pair in found])
    better: dict[str, set[str]] = {name: set() for name in scores}  # who is separably better
    for (first, second), difference, p_value in zip(pairs, found, p_values, strict=True):
        if p_value < alpha:
            winner, loser = (first, second) if _first_wins(difference, higher_is_better) else (second, first)
            better[loser].add(winner)
    return ranks_of(better)


def ranks_of(better: Mapping[str, set[str]]) -> dict[str, Rank]:
    """Ranks, given who is separably better than each system, by whatever test."""
    result = {}
    for name in better:
        worse = {other for other in better if name in better[other]}
        tied = tuple(other for other in better if other != name and other not in worse | better[name])
        result[name] = Rank(best=len(better[name]) + 1, worst=len(better) - len(worse), tied=tied)
    return result


def _first_wins(difference: PairedDifference, higher_is_better: bool) -> bool:
    return (difference.estimate.value > 0) == higher_is_better
