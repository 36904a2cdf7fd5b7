"""The gate: is a candidate worse than a baseline by more than a margin that was declared beforehand?

A test of non-inferiority, task by task, on the samples that both sides answered. With the gain δ (candidate minus
baseline, positive where better) and the margin m: ``worse`` where the one-sided upper bound of δ lies below -m, ``ok``
where its lower bound lies above -m, else ``inconclusive``. So neither a small true drop fails a build by bad luck, nor
passes a drop because the samples were too few to see it.

Over several tasks, a build fails by any one of them: the verdict ``worse`` is held to alpha over all by Holm's steps.
It passes only by all of them, which needs no correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.comparison.difference import Difference, difference
from evalharness.comparison.gate_options import Gate, GatedTask
from evalharness.comparison.pairing import Paired, paired
from evalharness.errors import NotComparableError
from evalharness.records.scores import Scores
from evalharness.stats.sequential import spent_alpha

Verdict = Literal["ok", "worse", "inconclusive", "not comparable", "broken"]
EXIT_OK, EXIT_WORSE, EXIT_INCONCLUSIVE, EXIT_NOT_COMPARABLE, EXIT_BROKEN = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskVerdict:
    """One task of a gate, judged."""

    task: str
    verdict: Verdict
    reason: str
    """One sentence."""
    metric: str = ""
    margin: float | None = None
    """In the metric's own unit."""
    difference: Difference | None = None
    upper: float | None = None
    """Upper bound of the gain, at the level that Holm's step gave this task."""
    lower: float | None = None
    """Lower bound of the gain, at alpha."""
    alpha: float | None = None
    """Of the upper bound."""
    notes: tuple[str, ...] = ()
    model: str = ""
    """The candidate's."""

    @property
    def n(self) -> int:
        return self.difference.n if self.difference else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """A gate's verdicts."""

    gate: str
    verdicts: tuple[TaskVerdict, ...]
    look: int | None = None
    """Which look at this series of checkpoints it is; None where looks are not counted."""
    alpha: float = 0.05

    @property
    def verdict(self) -> Verdict:
        """The gravest of the tasks': a regression that was found is one, whatever became of the other tasks."""
        found = {verdict.verdict for verdict in self.verdicts}
        for verdict in GRAVITY:
            if verdict in found:
                return verdict
        return "ok"

    def exit_code(self, *, strict: bool = False) -> int:
        return {
            "ok": EXIT_OK,
            "worse": EXIT_WORSE,
            "inconclusive": EXIT_INCONCLUSIVE if strict else EXIT_OK,
            "not comparable": EXIT_NOT_COMPARABLE,
            "broken": EXIT_BROKEN,
        }[self.verdict]


GRAVITY: tuple[Verdict, ...] = ("worse", "broken", "not comparable", "inconclusive")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A task that can be judged."""

    gated: GatedTask
    pair: Paired
    difference: Difference
    margin: float
    alpha: float
    p_worse: float | None


def check(
    gate: Gate,
    baselines: Mapping[str, Scores],
    candidates: Mapping[str, Scores],
    *,
    look: int | None = None,
    skipped: Mapping[str, str] | None = None,
) -> GateResult:
    """Judge every task of a gate.

    Args:
        baselines, candidates: scores by task.
        look: counted from 1, in a series of checkpoints against one baseline: alpha is then spent over the looks.
        skipped: reasons, by task, why a candidate has no run and its task is inconclusive.
    """
    measured: dict[str, _Measured] = {}
    judged: dict[str, TaskVerdict] = {}
    for gated in gate.tasks:
        if skipped and gated.task in skipped:
            judged[gated.task] = TaskVerdict(task=gated.task, verdict="inconclusive", reason=skipped[gated.task])
            continue
        found = _measure(gate, gated, baselines.get(gated.task), candidates.get(gated.task), look)
        if isinstance(found, TaskVerdict):
            judged[gated.task] = found
        else:
            measured[gated.task] = found
    levels = holm_levels([(one.p_worse, one.alpha) for one in measured.values()], corrected=gate.correction == "holm")
    for (task, one), level in zip(measured.items(), levels, strict=True):
        judged[task] = _judge(one, level)
    return GateResult(
        gate=gate.gate,
        verdicts=tuple(judged[gated.task] for gated in gate.tasks),
        look=look,
        alpha=gate.alpha if look is None else spent_alpha(look, gate.alpha),
    )


def holm_levels(tests: Sequence[tuple[float | None, float]], *, corrected: bool = True) -> list[float]:
    """The level at which each (p, alpha) is judged: ``alpha / (tests not yet rejected)``, from the smallest p up.

    The first that is not rejected stops the steps; it and all after it are judged at its divisor (Holm 1979).
    """
    levels = [alpha for _, alpha in tests]
    if not corrected:
        return levels
    order = sorted(range(len(tests)), key=lambda at: _or_one(tests[at][0]))
    left = len(tests)
    for at in order:
        levels[at] = tests[at][1] / left
        if _or_one(tests[at][0]) < levels[at]:
            left -= 1
        else:
            for other in order[order.index(at) :]:
                levels[other] = tests[other][1] / left
            break
    return levels


def _or_one(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value


def _measure(
    gate: Gate, gated: GatedTask, baseline: Scores | None, candidate: Scores | None, look: int | None
) -> _Measured | TaskVerdict:
    """The task's difference, or why it cannot be judged."""

    def stopped(verdict: Verdict, reason: str, **more: object) -> TaskVerdict:
        model = candidate.model_name if candidate else ""
        return TaskVerdict(task=gated.task, verdict=verdict, reason=reason, model=model, **more)  # type: ignore[arg-type]

    for side, scores in (("baseline", baseline), ("candidate", candidate)):
        if scores is None:
            return stopped("not comparable", f"the {side} has no run of {gated.task}")
    assert baseline is not None
    assert candidate is not None
    for side, scores in (("baseline", baseline), ("candidate", candidate)):
        if not scores.samples:
            return stopped("not comparable", f"the {side} has no sample ({scores.place})")
        lost = scores.failed + scores.missing
        if lost > gate.max_errors * (len(scores.samples) + scores.missing):
            return stopped(
                "broken",
                f"{lost} of {len(scores.samples) + scores.missing} samples of the {side} failed, are missing or have "
                f"no finite score, above the limit of {gate.max_errors:.0%}",
            )
    try:
        pair = paired(baseline, candidate)
    except NotComparableError as error:
        return stopped("not comparable", str(error).rstrip("."))
    metric = gated.metric or baseline.headline
    if missing := [scores.place for scores in (baseline, candidate) if metric not in scores.metrics]:
        return stopped("not comparable", f"{missing[0]} has no metric '{metric}'")
    found = difference(pair.samples, metric, baseline.metrics[metric])
    if found is None:
        return stopped("not comparable", f"no shared sample has a number for {metric} on both sides")
    margin = gated.margin_at(found.baseline)
    alpha = gated.alpha or gate.alpha
    minimum = gated.minimum_n or gate.minimum_n
    if found.n < minimum:
        return stopped(
            "inconclusive",
            f"{found.n} shared samples, and the gate asks for {minimum}",
            metric=metric, margin=margin, difference=found, notes=pair.notes,
        )  # fmt: skip
    return _Measured(
        gated=gated,
        pair=pair,
        difference=found,
        margin=margin,
        alpha=alpha if look is None else spent_alpha(look, alpha),
        p_worse=found.p_worse(margin),
    )


def _judge(one: _Measured, level: float) -> TaskVerdict:
    found = one.difference
    upper, lower = found.gain_bound(level, "upper"), found.gain_bound(one.alpha, "lower")
    verdict: Verdict = "inconclusive"
    if upper is None or lower is None:
        reason = f"{found.n} samples are too few for a bound"
    elif upper < -one.margin:
        verdict, reason = "worse", "the drop is larger than the margin"
    elif lower > -one.margin:
        verdict, reason = (
            "ok",
            "not a sample's score differs"
            if not found.better and not found.worse
            else ("any drop is smaller than the margin"),
        )
    else:
        reason = f"{found.n} samples cannot tell whether the drop is larger than the margin"
    return TaskVerdict(
        task=one.gated.task,
        verdict=verdict,
        reason=reason,
        metric=found.metric,
        margin=one.margin,
        difference=found,
        upper=upper,
        lower=lower,
        alpha=level,
        notes=one.pair.notes,
        model=one.pair.candidate.model_name,
    )
