"""Journal lines: of a sample whose attempts are all there, of one that failed, and of an old line scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evalharness.records.encode import attempts_of, reference_of, sample_line
from evalharness.scoring.apply import Scored, cut_in_thought, flags
from evalharness.scoring.reducers import reduce_each
from evalharness.tasks.task import Task
from evalharness.types import Attempt, Reference, Sample


def scored_line(
    name: str, task: Task, sample: Sample, reference: Reference, attempts: Sequence[Attempt]
) -> dict[str, Any]:
    """Parse and score every attempt, reduce the repeats, and collect the flags of all of them.

    An attempt whose tokens ran out before an answer began is not wrong but unscored: it is flagged ``truncated`` and in
    no mean.
    """
    scoreds = [
        Scored(None) if cut_in_thought(attempt) else task.scorer.score(attempt, reference) for attempt in attempts
    ]
    answered = [scored for scored in scoreds if scored.scores]
    raised = {
        flag
        for attempt, scored in zip(attempts, scoreds, strict=True)
        for flag, up in flags(attempt, scored).items()
        if up
    }
    if any(call.prompt.cut for attempt in attempts for call in attempt.calls):
        raised.add("cut")
    return sample_line(
        task=name,
        sample=sample,
        reference=reference,
        attempts=attempts,
        scoreds=scoreds,
        reduced=reduce_each(task.reducers, answered),
        flags=raised,
        explained=[metric.name for metric in task.metrics if metric.explains],
    )


def errored_line(name: str, sample: Sample, reference: Reference, sentence: str) -> dict[str, Any]:
    """The line of a sample that failed: no scores, and why."""
    return sample_line(
        task=name,
        sample=sample,
        reference=reference,
        attempts=(),
        scoreds=(),
        reduced={},
        flags=("errored",),
        error=sentence,
    )


def rescored_line(old: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """An old line with today's answers, scores and flags; what was asked and said stays as it was."""
    if old.get("error"):
        return dict(old)
    sample = Sample(
        id=old["id"],
        index=old["index"],
        row={},
        content_hash=old["content_hash"],
        subset=old.get("subset"),
        cluster=old.get("cluster"),
    )
    reference = reference_of(old)
    attempts = [_read_again(attempt, reference, task) for attempt in attempts_of(old)]
    new = scored_line(old["task"], task, sample, reference, attempts)
    for ours, theirs in zip(new["repeats"], old["repeats"], strict=True):
        ours["calls"] = theirs["calls"]
    return new


def _read_again(attempt: Attempt, reference: Reference, task: Task) -> Attempt:
    """The attempt with what its judges said read as today's rules do."""
    judges = {judge.judge: judge for judge in task.judges}
    verdicts = (
        judges[verdict.judge].read_again(verdict, reference, attempt) if verdict.judge in judges else verdict
        for verdict in attempt.verdicts
    )
    return replace(attempt, verdicts=tuple(verdicts))


def headline(line: Mapping[str, Any]) -> float | None:
    """The first metric's value in a journal line, for progress; None where the sample failed."""
    return next(iter(line["scores"].values()), None)
