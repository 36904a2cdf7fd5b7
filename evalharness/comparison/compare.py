"""`compare`: for every task, each run beside the first one, with what the samples can and cannot tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from evalharness.comparison.answers import AnswersChanged, answers_changed
from evalharness.comparison.difference import Difference, difference
from evalharness.comparison.pairing import Across, Paired, paired
from evalharness.errors import NotComparableError, UsageError, nearest
from evalharness.records.scores import Scores
from evalharness.stats.multiplicity import benjamini_hochberg, holm
from evalharness.stats.power import minimum_detectable_difference

POWER = 0.8
"""Of the difference that could have been seen."""
Correction = Literal["holm", "bh", "none"]
CORRECTIONS: dict[Correction, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One candidate beside the baseline, in one metric of one task."""

    task: str
    ability: str
    pair: Paired
    difference: Difference
    p_adjusted: float | None
    """p over all comparisons of the table."""
    detectable: float | None
    """The difference that this many samples find with the wanted power; None without an error to judge by."""
    share_of_repeats: float | None = None
    """Which part of the square of the difference's error comes from the repeats; None where a side has none."""
    subjects: dict[str, Difference] = field(default_factory=dict)
    """By subset, where the task has several."""
    groups: dict[str, Difference] = field(default_factory=dict)
    """By group of subsets."""
    answers_changed: AnswersChanged | None = None
    """Of a variant: how often the model says something else than it does unperturbed, right or wrong."""
    alpha: float = 0.05

    @property
    def name(self) -> str:
        """The task, and how it was perturbed: ``arc_easy, typos``."""
        variant = self.pair.candidate.variant
        return f"{self.task}, {variant}" if variant else self.task

    @property
    def verdict(self) -> Literal["better", "worse", "no difference", "equal"]:
        """``equal`` where not one sample's score differs."""
        found = self.difference
        if not found.better and not found.worse:
            return "equal"
        if self.p_adjusted is None or self.p_adjusted >= self.alpha:
            return "no difference"
        return "better" if found.gain > 0 else "worse"

    @property
    def detectable_with_more_repeats(self) -> float | None:
        """What the same samples could find if every one were elicited ever more often."""
        if self.detectable is None or self.share_of_repeats is None:
            return None
        return self.detectable * math.sqrt(1 - self.share_of_repeats)


def compare(
    runs: Sequence[Scores],
    *,
    metric: str | None = None,
    force: bool = False,
    correction: Correction = "holm",
    alpha: float = 0.05,
    across_protocols: bool = False,
) -> list[Comparison]:
    """Compare every run with the first one of its task; a variant with the same model's run without perturbations.

    Args:
        across_protocols: compare protocols and demonstrations that differ on purpose; a note says so.

    Raises:
        NotComparableError: no task has two runs, or two runs measured different things (unless `force`).
        UsageError: a run lacks the metric.
    """
    by_task: dict[str, list[Scores]] = {}
    for scores in runs:
        by_task.setdefault(scores.task, []).append(scores)
    for of_task in by_task.values():
        of_task.sort(key=lambda scores: bool(scores.variant))  # runs of one second may come in any order
    across: Across = "protocols" if across_protocols else "variants"
    found = [
        _compared(_beside(candidate, of_task), candidate, metric, force, alpha, across)
        for of_task in by_task.values()
        for candidate in of_task[1:]
    ]
    if not found:
        tasks = ", ".join(by_task) or "none"
        raise NotComparableError(f"no task has two runs here, so there is nothing to compare; the tasks are: {tasks}.")
    known = [comparison for comparison in found if comparison.difference.p_value is not None]
    adjusted = CORRECTIONS[correction]([comparison.difference.p_value or 0.0 for comparison in known])
    p_values = {id(comparison): p_value for comparison, p_value in zip(known, adjusted, strict=True)}
    return [replace(comparison, p_adjusted=p_values.get(id(comparison))) for comparison in found]


def _beside(candidate: Scores, runs: Sequence[Scores]) -> Scores:
    """The run that a candidate is compared with: for a variant what its model does unperturbed, else the first one."""
    unperturbed = candidate.hashes.get("unperturbed")
    model = candidate.model.get("fingerprint")
    own = (one for one in runs if one.hashes.get("protocol") == unperturbed and one.model.get("fingerprint") == model)
    return next(own, runs[0]) if unperturbed else runs[0]


def _compared(
    baseline: Scores, candidate: Scores, metric: str | None, force: bool, alpha: float, across: Across
) -> Comparison:
    pair = paired(baseline, candidate, force=force, across=across)
    name = metric_of(pair, metric)
    facts = baseline.metrics[name]
    found = difference(pair.samples, name, facts)
    if found is None:
        raise NotComparableError(
            f"{baseline.place} and {candidate.place}: no shared sample has a number for {name} on both sides."
        )
    error = found.standard_error
    return Comparison(
        task=baseline.task,
        ability=baseline.ability,
        pair=pair,
        difference=found,
        p_adjusted=None,
        detectable=minimum_detectable_difference(error, alpha, POWER) if error else None,
        share_of_repeats=_share_of_repeats(pair, name, found),
        subjects=_parts(pair, name, lambda subset: subset),
        groups=_parts(pair, name, lambda subset: baseline.subsets.get(subset, "")),
        answers_changed=answers_changed(pair) if candidate.variant else None,
        alpha=alpha,
    )


def _share_of_repeats(pair: Paired, metric: str, found: Difference) -> float | None:
    """The repeats of the two sides vary independently, so their variances add: ``(w_a / K_a + w_b / K_b) / n``."""
    parts = [side.metrics[metric].within for side in (pair.baseline, pair.candidate)]
    known = [part for part in parts if part is not None]
    if not known or not found.standard_error:
        return None
    return min(1.0, math.fsum(known) / found.n / found.standard_error**2)


def metric_of(pair: Paired, metric: str | None) -> str:
    """The wanted metric, or the baseline's first.

    Raises:
        UsageError: a side does not have it.
    """
    name = metric or pair.baseline.headline
    for scores in (pair.baseline, pair.candidate):
        if name not in scores.metrics:
            raise UsageError(f"{scores.place}: no metric '{name}'; {nearest(name, scores.metrics)}")
    return name


def _parts(pair: Paired, metric: str, part_of: Callable[[str], str]) -> dict[str, Difference]:
    """The difference within each part of the samples, where there are several parts."""
    members: dict[str, list[int]] = {}
    for place, (old, _) in enumerate(pair.samples):
        if old.subset is not None and (part := part_of(old.subset)):
            members.setdefault(part, []).append(place)
    if len(members) < 2:
        return {}
    parts = {
        part: difference([pair.samples[place] for place in places], metric, pair.baseline.metrics[metric])
        for part, places in sorted(members.items())
    }
    return {part: found for part, found in parts.items() if found is not None}
