"""Scores on one scale, and averages over columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from evalharness.stats.intervals import Estimate

Values = Mapping[str, float]
"""By model."""


def normalised(value: float, chance: float, best: float) -> float:
    """``100 (x - chance) / (best - chance)``, at least 0: Open LLM Leaderboard v2.

    Where less is better, `best` is below `chance`, and the formula is the same.
    """
    return max(0.0, 100 * (value - chance) / (best - chance))


def normalised_estimate(found: Estimate, chance: float, best: float) -> Estimate:
    """An estimate on that scale. The floor is not taken from the standard error, which is then rather too large."""
    scale = 100 / abs(best - chance)
    ends = [None if end is None else normalised(end, chance, best) for end in (found.low, found.high)]
    low, high = ends if best > chance else reversed(ends)
    error = found.standard_error
    return replace(
        found,
        value=normalised(found.value, chance, best),
        low=low,
        high=high,
        standard_error=None if error is None else scale * error,
    )


def win_rates(columns: Sequence[tuple[Values, bool]], models: Collection[str]) -> dict[str, float | None]:
    """HELM's mean win rate: the chance to beat another model, drawn at random, in a column drawn at random.

    Of a column with N values a model wins ``(worse + (ties - 1) / 2) / (N - 1)``, itself among the ties; columns with
    fewer than two values are passed over. None where a model lacks a value in one of the others, or none is left.

    Args:
        columns: values by model, and whether higher is better.
        models: whose rates are wanted.
    """
    compared = [(values, higher) for values, higher in columns if len(values) >= 2]
    rates: dict[str, float | None] = {}
    for model in models:
        if not compared or any(model not in values for values, _ in compared):
            rates[model] = None
            continue
        wins = [_wins(model, values, higher) for values, higher in compared]
        rates[model] = sum(wins) / len(wins)
    return rates


def _wins(model: str, values: Values, higher: bool) -> float:
    own = values[model]
    worse = sum(value < own if higher else value > own for value in values.values())
    ties = sum(value == own for value in values.values())
    return (worse + (ties - 1) / 2) / (len(values) - 1)
