"""From the repeats of one sample to one score a metric, by a named rule."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from evalharness.errors import UsageError, nearest
from evalharness.scoring.apply import Scored
from evalharness.stats.repeats import pass_all, pass_at
from evalharness.types import Score

REDUCERS = ("mean", "majority", "max", "pass@k", "pass^k")

_AT_K = re.compile(r"pass([@^])([1-9][0-9]*)")


def check_reducer(name: str, repeats: int) -> None:
    """Refuse, before a run starts, what `reduce` would refuse after it.

    Raises:
        UsageError: an unknown name, or a k above the number of repeats.
    """
    if name in ("mean", "majority", "max"):
        return
    at_k = _AT_K.fullmatch(name)
    if at_k is None:
        raise UsageError(f"unknown reducer '{name}' (k stands for a number, as in pass@5); {nearest(name, REDUCERS)}")
    if int(at_k[2]) > repeats:
        raise UsageError(f"the reducer '{name}' draws {at_k[2]} of the repeats, but there are {repeats} of them.")


def enough(name: str, answered: int) -> bool:
    """Whether so many answered repeats can be reduced: one, or the k that a reducer draws."""
    at_k = _AT_K.fullmatch(name)
    return answered >= (int(at_k[2]) if at_k else 1)


def reduce_each(reducers: Mapping[str, str], scoreds: Sequence[Scored]) -> dict[str, Score]:
    """One score a metric from the answered repeats of a sample, each metric by the rule that `reducers` names for it.

    A metric whose rule draws more repeats than were answered is left out, as is one that leaves the sample out.

    Raises:
        UsageError: as `reduce`.
    """
    reduced: dict[str, Score] = {}
    for name in dict.fromkeys(reducers.values()):
        if enough(name, len(scoreds)):
            labels = [label for label, own in reducers.items() if own == name and label in scoreds[0].scores]
            reduced |= reduce(name, scoreds, labels)
    return {label: reduced[label] for label in reducers if label in reduced}


def reduce(name: str, scoreds: Sequence[Scored], labels: Collection[str] | None = None) -> dict[str, Score]:
    """One score a metric (or for each of these `labels`) from the n repeats of a sample.

    ``mean``: the mean value. ``majority``: the score of the answer that most repeats gave (of tied answers
    the one given first; repeats without an answer have no vote). ``max``: the highest value. ``pass@k``: the
    chance that at least one of k repeats drawn of the n is right, ``1 - C(n-c, k) / C(n, k)`` with c right ones
    (unbiased; Chen et al. 2021, arXiv:2107.03374). ``pass^k``: the chance that all k are right,
    ``C(c, k) / C(n, k)`` (Yao et al. 2024, arXiv:2406.12045).

    Raises:
        UsageError: an unknown name, no repeat, k > n, no parsed answers to take a majority of, or a value
            other than 0 and 1 where right repeats are counted.
    """
    if not scoreds:
        raise UsageError("there are no repeats to reduce.")
    check_reducer(name, len(scoreds))
    labels = scoreds[0].scores if labels is None else labels
    if name == "majority":
        winner = _majority(scoreds)
        return {label: winner.scores[label] for label in labels}
    rule = _RULES[name] if name in _RULES else _chance_at_k(name)
    return {label: rule(label, [scored.scores[label] for scored in scoreds]) for label in labels}


def _majority(scoreds: Sequence[Scored]) -> Scored:
    answers = [scored.answer for scored in scoreds]
    if None in answers:
        raise UsageError("the reducer 'majority' counts parsed answers, but the task parses none; use mean.")
    values = [answer.value for answer in answers if answer is not None]
    votes = Counter(value for value in values if value is not None)
    if not votes:
        return scoreds[0]
    return scoreds[values.index(votes.most_common(1)[0][0])]


def _mean(label: str, scores: Sequence[Score]) -> Score:
    if len(scores) == 1:
        return scores[0]
    n = len(scores)
    return Score(
        math.fsum(s.value for s in scores) / n,
        math.fsum(s.weight for s in scores) / n,
        parts=tuple(math.fsum(counts) / n for counts in zip(*(s.parts for s in scores), strict=True)),
    )


def _max(label: str, scores: Sequence[Score]) -> Score:
    return max(scores, key=lambda score: score.value)


_RULES = {"mean": _mean, "max": _max}


def _chance_at_k(name: str) -> Callable[[str, Sequence[Score]], Score]:
    chance, k = pass_all if name.startswith("pass^") else pass_at, int(name[len("pass@") :])

    def rule(label: str, scores: Sequence[Score]) -> Score:
        n, right = len(scores), _count_right(name, label, scores)
        return Score(chance(n, right, k), explanation=f"{right} of {n} repeats are right")

    return rule


def _count_right(name: str, label: str, scores: Sequence[Score]) -> int:
    for score in scores:
        if score.value not in (0, 1):
            raise UsageError(
                f"the reducer '{name}' counts right repeats, but '{label}' scored {score.value}; use mean."
            )
    return sum(score.value == 1 for score in scores)
