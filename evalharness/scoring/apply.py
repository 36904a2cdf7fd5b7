"""From an attempt to its answer, its scores and its flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalharness.answers.base import Parser, Reading, build_parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric
from evalharness.types import Attempt, Completion, Parsed, Reference, Score


@dataclass(frozen=True, slots=True)
class Scored:
    """What one attempt is worth."""

    answer: Parsed | None
    """None where the task parses no answer."""
    votes: Mapping[str, int] = field(default_factory=dict)
    """How the candidates of the attempt voted, by answer."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By the metrics' shown names; without those that leave the sample out."""


class Scorer:
    """The parser and the metrics of one task, ready to score its attempts. Pure, and safe to share."""

    def __init__(self, parser: Parser | None, metrics: Sequence[Metric]) -> None:
        """
        Raises:
            DataError: a metric scores an answer and neither it nor the task says how to parse one, or a
                metric's own `answer` is wrong.
        """
        self._parsers: list[Parser] = [] if parser is None else [parser]
        """The distinct ones; the first reads the answer that is shown."""
        self._plan: list[tuple[Metric, int | None]] = []
        """Each metric with the number of the parser it reads by."""
        for metric in metrics:
            self._plan.append((metric, self._parser_of(metric, parser) if metric.needs == "answer" else None))

    def _parser_of(self, metric: Metric, default: Parser | None) -> int:
        own = build_parser(metric.answer, f"{metric.name}.answer") if metric.answer is not None else default
        if own is None:
            raise DataError(
                f"the metric '{metric.name}' scores an answer, but nothing says how to read one; "
                "add a section answer: {parser: text} or another parser to the task."
            )
        if own not in self._parsers:
            self._parsers.append(own)
        return self._parsers.index(own)

    @property
    def waits(self) -> bool:
        """Whether scoring waits for other processes."""
        return any(metric.waits for metric, _ in self._plan)

    def close(self) -> None:
        """Give back what the metrics hold; scoring works all the same afterwards."""
        for metric, _ in self._plan:
            metric.close()

    def score(self, attempt: Attempt, reference: Reference) -> Scored:
        """Parse the attempt once with each parser and score it with each metric.

        Raises:
            DataError: the attempt or the reference lacks what a metric needs.
        """
        readings = [parser.read(attempt.candidates, reference.choices) for parser in self._parsers]
        scores = {
            metric.name: self._score(metric, i, attempt, reference, readings)
            for metric, i in self._plan
            if metric.covers(reference)
        }
        if not readings:
            return Scored(None, scores=scores)
        return Scored(readings[0].parsed, readings[0].votes, scores)

    def _score(
        self, metric: Metric, i: int | None, attempt: Attempt, reference: Reference, readings: list[Reading]
    ) -> Score:
        if i is None:
            return metric.score(attempt, reference, None, None)
        return metric.score(attempt, reference, readings[i].parsed, self._parsers[i])


def flags(attempt: Attempt, scored: Scored) -> dict[str, bool]:
    """What a reader should know beside the score: ``unparsed``, ``truncated``, ``empty``, ``undecided``.

    Truncated and empty look at the final completions: those of the last call that generated.
    """
    final = _final_completions(attempt)
    return {
        "unparsed": scored.answer is not None and scored.answer.value is None,
        "truncated": any(completion.finish_reason == "length" for completion in final),
        "empty": any(not completion.text.strip() and not completion.tool_calls for completion in final),
        "undecided": any(score.undecided for score in scored.scores.values()),
    }


def cut_in_thought(attempt: Attempt) -> bool:
    """Whether every final completion ran out of tokens while the model was still thinking."""
    final = _final_completions(attempt)
    return bool(final) and all(completion.cut_in_thought for completion in final)


def _final_completions(attempt: Attempt) -> tuple[Completion, ...]:
    return next((call.completions for call in reversed(attempt.calls) if call.completions), ())
