"""The gate of a training: whether a checkpoint is so bad that the training should not go on.

Two rules, and either is enough. *Floor*: the upper end of the score's 95 % interval lies below a value (for a metric of
which less is better: the lower end above it). *Against*: the paired test of `comparison.gate`, that of `evalharness
check`, says that the checkpoint is worse than an earlier one, or than a run or baseline from elsewhere, by more than
the margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evalharness.comparison.gate import GateResult, TaskVerdict, check
from evalharness.comparison.gate_options import Gate, GatedTask, Share, margin_value
from evalharness.options import Options
from evalharness.records.run import ScoreRecord
from evalharness.records.scores import Scores

EARLIER = ("previous", "best", "before")
"""What `against` may say in place of a folder or file."""


class TrainingGate(Options):
    """The section `evaluation.gate` of a training's YAML."""

    floor: dict[str, float] = Field(default_factory=dict)
    """By task, in the unit of its first metric: a checkpoint whose interval lies wholly below is bad."""
    after: int = Field(default=0, ge=0)
    """Steps before which no floor counts: a model has to learn first."""
    against: str | None = None
    """``previous``: the checkpoint evaluated before this one; ``best``: of each task, the earlier one with the best
    score; ``before``: the model that a fine-tuning begins with; or a folder of runs, a run's folder, or a baseline's
    file."""
    margin: Annotated[float | str, BeforeValidator(margin_value)] = 0.0
    """The drop that is too much: in the metric's own unit, or ``2%`` of the other side's score."""
    alpha: Share = 0.05
    """One-sided, of the verdict worse, over all tasks of a checkpoint."""
    minimum_n: int = Field(default=100, ge=2)
    """Shared samples below which a comparison tells nothing."""
    sequential: bool = False
    """Spend alpha over all checkpoints of the training, so that looking at every one does not stop a good training
    sooner or later."""
    stop: bool = True
    """Whether the training ends; else it is only told."""

    @model_validator(mode="after")
    def _a_rule(self) -> TrainingGate:
        if not self.floor and self.against is None:
            raise ValueError("give floor, against, or both; without either nothing is judged.")
        return self

    def of_tasks(self, tasks: Mapping[str, object]) -> Gate:
        """The same as `comparison.gate` has it, over these tasks."""
        return Gate(
            gate="training",
            alpha=self.alpha,
            minimum_n=self.minimum_n,
            tasks=tuple(GatedTask(task=task, margin=self.margin) for task in tasks),
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """A checkpoint, judged."""

    verdict: Literal["ok", "worse", "inconclusive", "not comparable", "broken"]
    reasons: tuple[str, ...]
    """Why it is bad, a clause each; empty where it is not."""
    compared: GateResult | None

    def row(self) -> dict[str, Any]:
        """As a line of evaluations.jsonl has it."""
        tasks = {} if self.compared is None else {one.task: _told(one) for one in self.compared.verdicts}
        return {"verdict": self.verdict, "reasons": list(self.reasons), **({"against": tasks} if tasks else {})}

    def sentence(self, step: int) -> str | None:
        """Why the training should end here; None where nothing is wrong."""
        return f"The gate at step {step:,}: {'; '.join(self.reasons)}." if self.reasons else None


def judge(
    gate: TrainingGate,
    step: int,
    headlines: Mapping[str, tuple[str, ScoreRecord]],
    scores: Mapping[str, Scores],
    baselines: Mapping[str, Scores],
    look: int,
) -> Judgement:
    """Judge a checkpoint.

    Args:
        headlines: by task, the name and the score of its first metric.
        scores: by task, those of the samples.
        baselines: by task, what it is compared with; a task without one is not.
        look: number of this comparison in the training, from 1.
    """
    reasons = [] if step < gate.after else list(_below(gate, headlines))
    compared = None
    if shared := {task: scores[task] for task in scores if task in baselines}:
        compared = check(gate.of_tasks(shared), baselines, shared, look=look if gate.sequential else None)
        reasons += [_worse(one, baselines[one.task]) for one in compared.verdicts if one.verdict == "worse"]
    verdict = "worse" if reasons else compared.verdict if compared else "ok"
    return Judgement(verdict, tuple(reasons), compared)


def _below(gate: TrainingGate, headlines: Mapping[str, tuple[str, ScoreRecord]]) -> list[str]:
    found = []
    for task, floor in gate.floor.items():
        if task not in headlines:
            continue
        metric, score = headlines[task]
        end = score.high if score.higher_is_better else score.low
        if score.value is None or end is None:
            continue
        if end < floor if score.higher_is_better else end > floor:
            most, side = ("at most", "below") if score.higher_is_better else ("at least", "above")
            found.append(f"{task}: {metric} is {score.value:.4g}, {most} {end:.4g}, {side} the floor of {floor:g}")
    return found


def _worse(verdict: TaskVerdict, baseline: Scores) -> str:
    found = verdict.difference
    assert found is not None
    return (
        f"{verdict.task}: {verdict.metric} is {found.candidate:.4g}, worse than the {found.baseline:.4g} of "
        f"{baseline.place} on {found.n} shared samples"
    )


def _told(verdict: TaskVerdict) -> dict[str, Any]:
    found = verdict.difference
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "gain": found.gain if found else None,
        "lower": verdict.lower,
        "upper": verdict.upper,
        "margin": verdict.margin,
        "n": verdict.n,
    }
