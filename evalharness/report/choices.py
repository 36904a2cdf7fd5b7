"""Which choice a sample's answer is: how sure the model was of it, and whether its position decided.

Calibration follows Guo et al. 2017, arXiv:1706.04599: the confidence of a choice is its share of the softmax over the
choices' total log-likelihoods, and the expected calibration error is ``sum_b n_b / n |accuracy_b - confidence_b|`` over
bins of equal width. The Brier score is the original one (Brier 1950), ``mean of sum_k (p_k - [k is right])^2``, from 0
to 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.pages.charts import ReliabilityPoint

BINS = 10
MOST_POSITIONS = 26
"""More choices than letters have no table of positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A sample that is answered by choosing, and has exactly one right choice."""

    count: int
    """Choices."""
    chosen: int | None
    """Position of the likeliest choice, or of the one that the answer names."""
    right: int
    confidence: float | None = None
    """Of the chosen one; None without log-likelihoods."""
    brier: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How well confidence tells accuracy."""

    n: int
    error: float
    """Expected calibration error."""
    brier: float
    accuracy: float
    confidence: float
    """Mean confidence of the chosen ones."""
    bins: tuple[ReliabilityPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Chosen positions against right ones."""

    table: tuple[tuple[int, ...], ...]
    """By right position, then chosen one."""
    chosen: tuple[int, ...]
    right: tuple[int, ...]
    n: int
    p_value: float
    """Of the hypothesis that every position is chosen as often as it is right."""


def choice_of(line: Mapping[str, Any]) -> Choice | None:
    """The choice of a line of the journal; None where it has no choices, or not exactly one right one."""
    choices: Sequence[str] = line.get("choices") or ()
    right = _position(line.get("target"), choices)
    if len(choices) < 2 or right is None or line.get("error"):
        return None
    totals = [float(value) for value in line.get("log_likelihoods") or ()]
    if len(totals) != len(choices):
        return Choice(count=len(choices), chosen=_position(line.get("answer"), choices), right=right)
    shares = softmax(totals)
    if shares is None:
        return Choice(count=len(choices), chosen=None, right=right)
    # Of tied choices the first, as the metric `acc` has it.
    chosen = totals.index(max(totals))
    brier = math.fsum((share - (place == right)) ** 2 for place, share in enumerate(shares))
    return Choice(count=len(choices), chosen=chosen, right=right, confidence=shares[chosen], brier=brier)


def _position(value: Any, choices: Sequence[str]) -> int | None:
    """Position of a choice that is named by its position, its letter or its text."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int):
        return value if 0 <= value < len(choices) else None
    if not isinstance(value, str):
        return None
    if value in choices:
        return choices.index(value)
    place = ord(value) - ord("A") if len(value) == 1 else -1
    return place if 0 <= place < len(choices) else None


def softmax(totals: Sequence[float]) -> list[float] | None:
    """Probabilities of the choices; None where a log-likelihood is not a number, or none is possible."""
    most = max(totals)
    if not math.isfinite(most) or any(map(math.isnan, totals)):
        return None
    parts = [math.exp(total - most) for total in totals]
    whole = math.fsum(parts)
    return [part / whole for part in parts]


def calibration(choices: Iterable[Choice]) -> Calibration | None:
    """None where no sample has log-likelihoods of its choices."""
    known = [
        (choice.confidence, choice.chosen == choice.right, choice.brier or 0.0)
        for choice in choices
        if choice.confidence is not None
    ]
    if not known:
        return None
    n = len(known)
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right, _ in known:
        bins[min(int(confidence * BINS), BINS - 1)].append((confidence, right))
    points = tuple(_point(place, members) for place, members in enumerate(bins))
    return Calibration(
        n=n,
        error=math.fsum(point.n / n * abs(point.accuracy - point.confidence) for point in points if point.n),
        brier=math.fsum(brier for _, _, brier in known) / n,
        accuracy=sum(right for _, right, _ in known) / n,
        confidence=math.fsum(confidence for confidence, _, _ in known) / n,
        bins=points,
    )


def _point(place: int, members: Sequence[tuple[float, bool]]) -> ReliabilityPoint:
    from evalharness.stats.intervals import wilson

    n, low, high = len(members), place / BINS, (place + 1) / BINS
    if not n:
        return ReliabilityPoint(low, high, 0, math.nan, math.nan)
    right = sum(right for _, right in members)
    found = wilson(right, n)
    interval = None if found.low is None or found.high is None else (found.low, found.high)
    return ReliabilityPoint(low, high, n, math.fsum(confidence for confidence, _ in members) / n, right / n, interval)


def positions(choices: Iterable[Choice]) -> Positions | None:
    """None where nothing was chosen, or there are more positions than letters."""
    known = [(choice.right, choice.chosen, choice.count) for choice in choices if choice.chosen is not None]
    size = max((count for _, _, count in known), default=0)
    if not known or size > MOST_POSITIONS:
        return None
    table = [[0] * size for _ in range(size)]
    for right, chosen, _ in known:
        table[right][chosen] += 1
    return Positions(
        table=tuple(map(tuple, table)),
        chosen=tuple(map(sum, zip(*table, strict=True))),
        right=tuple(map(sum, table)),
        n=len(known),
        p_value=marginal_homogeneity(table),
    )


def marginal_homogeneity(table: Sequence[Sequence[int]]) -> float:
    """p of equal margins of a square table, by the chi-square test of Stuart (1955) and Maxwell (1970).

    With d the rows' sums less the columns', ``d' S^-1 d`` has as many degrees of freedom as S has ranks, where S is
    ``row_i + column_i - 2 n_ii`` on its diagonal and ``-(n_ij + n_ji)`` beside it. A plain chi-square of the chosen
    counts against the right ones would take the right ones for known shares, and find bias in models without any.
    """
    import numpy as np
    from scipy.stats import chi2

    counts_PP = np.asarray(table, dtype=float)
    apart_P = counts_PP.sum(1) - counts_PP.sum(0)
    covariance_PP = -(counts_PP + counts_PP.T)
    np.fill_diagonal(covariance_PP, counts_PP.sum(1) + counts_PP.sum(0) - 2 * counts_PP.diagonal())
    rank = int(np.linalg.matrix_rank(covariance_PP))
    if rank == 0:
        return 1.0
    return float(chi2.sf(apart_P @ np.linalg.pinv(covariance_PP) @ apart_P, rank))
