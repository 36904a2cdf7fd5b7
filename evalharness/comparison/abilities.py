"""Differences by ability: the mean over the tasks that measure one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.comparison.compare import Comparison
from evalharness.stats.averages import macro_average
from evalharness.stats.intervals import Estimate


@dataclass(frozen=True, slots=True)
class AbilityDifference:
    """One candidate's mean difference over the tasks of an ability, each counting alike."""

    ability: str
    candidate: str
    tasks: tuple[str, ...]
    estimate: Estimate


def by_ability(comparisons: Sequence[Comparison]) -> list[AbilityDifference]:
    """Abilities that two tasks or more measure by scores in [0, 1]; ``SE = √(Σ SE²) / k``, the tasks being independent.

    Perplexities and scores of other scales have no mean with these, and are left out.
    """
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        found = comparison.difference
        if comparison.ability and found.unit_interval and found.higher_is_better:
            candidate = comparison.pair.candidate
            name = candidate.model_name + (f", {candidate.variant}" if candidate.variant else "")
            groups.setdefault((comparison.ability, name), []).append(comparison)
    return [
        AbilityDifference(
            ability=ability,
            candidate=candidate,
            tasks=tuple(comparison.task for comparison in members),
            estimate=macro_average([_estimate(comparison) for comparison in members]),
        )
        for (ability, candidate), members in groups.items()
        if len(members) > 1
    ]


def _estimate(comparison: Comparison) -> Estimate:
    found = comparison.difference
    return Estimate(value=found.value, standard_error=found.standard_error, n=found.n)
