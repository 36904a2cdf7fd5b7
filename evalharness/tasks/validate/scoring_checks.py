"""Whether right answers score what they should, and wrong ones less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import Metric
from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault
from evalharness.types import Attempt, Likelihood, Reference, Sample

ANNOUNCED = "So the answer is {}."
"""How a chain of thought ends where no demonstration says it."""
MARGIN = 1e-9

References = Sequence[tuple[Sample, Reference]]


def check_scores(task: Task, references: References) -> Iterator[Fault]:
    """Score the right answer of every row, and the right answer of the next row in its place."""
    # Nothing is judged here, and a leaning has no right answers.
    metrics = [metric for metric in task.metrics if metric.needs != "verdict" and metric.tells_right]
    if not references or not metrics or task.definition.document is not None:
        return
    scorer = Scorer(task.parser, metrics)
    right = [_values(scorer, metrics, _right(task, *each), each[1]) for each in references]
    wrong = [_values(scorer, metrics, attempts, reference) for attempts, reference in _wrong(task, references)]
    for metric in metrics:
        places = [number for number, each in enumerate(right) if metric.name in each]
        best = [right[number][metric.name] for number in places]
        other = [each[metric.name] for each in wrong if metric.name in each]
        sign = 1 if metric.higher_is_better else -1
        if best and metric.higher_is_better and fmean(best) < task.definition.ceiling - MARGIN:
            position = next(number for number, value in enumerate(best) if value < 1)
            sample, reference = references[places[position]]
            yield Fault(
                "gold_unread",
                "answer" if metric.needs == "answer" and metric.answer is None else "metrics",
                f"the right answers score {fmean(best):.4g} by {metric.name} and should score "
                f"{task.definition.ceiling:g}; that of sample {sample.id}, {reference.target!r:.60}, scores "
                f"{best[position]:g}: choose a parser that reads it, or declare a ceiling.",
            )
        elif best and other and sign * fmean(other) >= sign * fmean(best):
            yield Fault(
                "wrong_scores_as_right",
                "metrics",
                f"wrong answers score {fmean(other):.4g} by {metric.name}, no worse than right ones, which score "
                f"{fmean(best):.4g}; choose a metric that tells them apart.",
            )


def _values(
    scorer: Scorer, metrics: Sequence[Metric], attempts: Sequence[Attempt], reference: Reference
) -> dict[str, float]:
    """The best value that any of the attempts reaches, by metric."""
    scored = [scorer.score(attempt, reference).scores for attempt in attempts]
    return {
        metric.name: (max if metric.higher_is_better else min)(scores[metric.name].value for scores in scored)
        for metric in metrics
        if metric.covers(reference)
    }


def _right(task: Task, sample: Sample, reference: Reference) -> list[Attempt]:
    """What a perfect model would bring back; several ways to say it where no demonstration shows one."""
    if task.method.needs == "target":
        return [Attempt(calls=(), candidates=(text,)) for text in _texts(task, sample, reference)]
    if task.method.needs == "choices":
        return [_chosen(reference, _golds(reference))]
    return [Attempt(calls=(), likelihoods=(Likelihood((-0.1,), (True,)),))]


def _texts(task: Task, sample: Sample, reference: Reference) -> list[str]:
    template = task.definition.prompt.reasoned_answer if task.method.reasoned else task.definition.prompt.answer
    # What is shown is not the answer where it is a program, or the steps to it.
    shown = template is not None and not (task.method.executes or task.method.loops)
    if shown and task.demonstration_columns <= sample.row.keys():
        return [str(task.renderer.demonstration(sample, reasoned=task.method.reasoned).answer)]
    target = reference.target[0] if isinstance(reference.target, tuple) else reference.target
    text = reference.choices[target] if isinstance(target, int) and reference.choices else str(target)
    return [text, ANNOUNCED.format(text)]


def _wrong(task: Task, references: References) -> Iterator[tuple[list[Attempt], Reference]]:
    """Answers that are right for another row only."""
    for number, (_, reference) in enumerate(references):
        if task.method.needs == "choices":
            golds = _golds(reference)
            other = next((place for place in range(len(reference.choices)) if place not in golds), None)
            yield [_chosen(reference, () if other is None else (other,))], reference
        elif task.method.needs == "target":
            sample, theirs = references[(number + 1) % len(references)]
            if theirs.target != reference.target:
                yield _right(task, sample, theirs), reference
        else:
            yield [Attempt(calls=(), likelihoods=(Likelihood((-20.0,), (False,)),))], reference


def _golds(reference: Reference) -> tuple[int, ...]:
    target = reference.target if isinstance(reference.target, tuple) else (reference.target,)
    return tuple(position for position in target if isinstance(position, int))


def _chosen(reference: Reference, places: Sequence[int]) -> Attempt:
    """Log-likelihoods whose highest stand at these places."""
    return Attempt(
        calls=(),
        likelihoods=tuple(
            Likelihood((-1.0 if place in places else -900.0,), (place in places,))
            for place in range(len(reference.choices))
        ),
    )
