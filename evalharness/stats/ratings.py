"""Strengths of systems from comparisons of two at a time: Bradley-Terry.

Letters in names: S systems.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalharness.errors import UsageError

Floats = NDArray[np.float64]
ELO_SCALE = 400 / math.log(10)
"""Elo points of a unit of log-odds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """The strength of one system."""

    value: float
    """Log-odds against the mean system; times `ELO_SCALE` these are Elo points."""
    standard_error: float


def bradley_terry(
    wins: Mapping[tuple[Hashable, Hashable], float], prior: float = 0.0, tolerance: float = 1e-10
) -> dict[Hashable, Rating]:
    """Maximum likelihood of ``P(a beats b) = 1 / (1 + exp(s_b - s_a))`` (Bradley and Terry 1952); Σ s is 0.

    ``wins[a, b]`` says how often a beat b; a tie counts half a win for each. `prior` adds so many half-wins between any
    two systems, which keeps strengths finite where one never lost. Found by Newton's method; the errors are the roots
    of the diagonal of the pseudo-inverse of the observed information.

    Raises:
        UsageError: fewer than two systems, a negative count, a system against itself, or strengths that no finite
            number describes, because some systems never lost to the others.
    """
    systems = list(dict.fromkeys(name for pair in wins for name in pair))
    if len(systems) < 2:
        raise UsageError("ratings need at least two systems that met.")
    if any(a == b for a, b in wins) or any(count < 0 for count in wins.values()):
        raise UsageError("a system cannot meet itself, and counts of wins must not be negative.")
    places = {name: place for place, name in enumerate(systems)}
    wins_SS = np.full((len(systems), len(systems)), prior / 2)
    np.fill_diagonal(wins_SS, 0)
    for (winner, loser), count in wins.items():
        wins_SS[places[winner], places[loser]] += count
    if not _connected(wins_SS > 0):
        raise UsageError("some systems never lost to the others, so their strength has no bound; a prior gives it one.")
    meetings_SS = wins_SS + wins_SS.T
    strengths = np.zeros(len(systems))
    for _ in range(200):
        chances_SS = 1 / (1 + np.exp(strengths - strengths[:, None]))
        gradient = wins_SS.sum(1) - (meetings_SS * chances_SS).sum(1)
        step = np.linalg.pinv(_information(meetings_SS, chances_SS), hermitian=True) @ gradient
        # Far from the optimum a whole step can overshoot.
        strengths = strengths + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < tolerance:
            break
    strengths -= strengths.mean()
    chances_SS = 1 / (1 + np.exp(strengths - strengths[:, None]))
    errors = np.sqrt(np.diag(np.linalg.pinv(_information(meetings_SS, chances_SS), hermitian=True)))
    return {
        name: Rating(value=float(value), standard_error=float(error))
        for name, value, error in zip(systems, strengths, errors, strict=True)
    }


def wins_of(outcomes: Sequence[tuple[Hashable, Hashable, float]]) -> dict[tuple[Hashable, Hashable], float]:
    """`bradley_terry`'s counts from (a, b, score of a), with 1 for a win, 0.5 for a tie and 0 for a loss.

    Raises:
        UsageError: a score outside [0, 1].
    """
    wins: dict[tuple[Hashable, Hashable], float] = {}
    for first, second, score in outcomes:
        if not 0 <= score <= 1:
            raise UsageError(f"the score of a comparison must lie between 0 and 1, not {score}.")
        wins[first, second] = wins.get((first, second), 0.0) + score
        wins[second, first] = wins.get((second, first), 0.0) + 1 - score
    return wins


def _information(meetings_SS: Floats, chances_SS: Floats) -> Floats:
    weights_SS = meetings_SS * chances_SS * (1 - chances_SS)
    return np.asarray(np.diag(weights_SS.sum(1)) - weights_SS)


def _connected(beat_SS: NDArray[np.bool_]) -> bool:
    """Whether every system beat every other one, directly or through others (Ford 1957)."""
    from scipy.sparse.csgraph import connected_components

    count, _ = connected_components(beat_SS, directed=True, connection="strong")
    return int(count) == 1
