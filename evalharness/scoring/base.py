"""What every metric is: options of its own, and a pure function of one attempt and its reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from evalharness.answers.base import Parser, build_named
from evalharness.errors import DataError
from evalharness.options import Options
from evalharness.types import Attempt, Parsed, Reference, Score

Needs = Literal["answer", "choices", "continuation", "document", "verdict", "steps"]
Aggregate = Literal[
    "mean", "geometric_mean", "difference", "auroc", "corpus_bleu", "corpus_chrf", "corpus_ter", "corpus_kappa",
    "corpus_length_controlled",
]  # fmt: skip


class Metric(Options):
    """One way to score an attempt. Subclasses are the entries of a task's `metrics:`."""

    version: ClassVar[int] = 1
    """Raised with every change of a score; part of the protocol's hash."""
    needs: ClassVar[Needs]
    """What is scored: a parsed answer, what a judge said, the steps of a loop, or the log-likelihoods of choices, of a
    continuation, of a document."""
    higher_is_better: ClassVar[bool] = True
    tells_right: ClassVar[bool] = True
    """Whether right answers score better than wrong ones: not so where a leaning is measured, or what is said."""
    aggregate: ClassVar[Aggregate] = "mean"
    """How the samples' values become one; means are weighted by the scores' weights. A difference is the mean of the
    samples of positive weight less that of the samples of negative weight; auroc is the area under the ROC curve that
    tells the former from the latter. Of a corpus's metric it is computed from
    sums of the scores' parts (`stats.corpus`)."""
    explains: ClassVar[bool] = False
    """Whether the journal keeps its explanations: where they say more than answer, target and verdicts do."""
    waits: ClassVar[bool] = False
    """Whether `score` waits for another process: a run then calls it from threads of its own."""

    metric: str
    """Registered name."""
    label: str | None = None
    """Name to show; the metric's own by default."""
    answer: dict[str, Any] | str | None = None
    """A parser of its own in place of the task's."""
    reducer: str | None = None
    """How repeats become this metric's one score, in place of the task's reducer: pass@10, say."""
    where: dict[str, Any] | None = None
    """Facts of the samples that it scores, each with its value or a list of them; it leaves the others out."""

    @property
    def name(self) -> str:
        """What the scores are filed under."""
        return self.label or self.metric

    @property
    def signature(self) -> str | None:
        """Settings and version of the library that computes it, in one line, for the results."""
        return None

    def covers(self, reference: Reference) -> bool:
        """Whether it scores this sample: always, but for `where`.

        Raises:
            DataError: the task says no such fact.
        """
        return all(
            self.fact(reference, name) in (wanted if isinstance(wanted, list) else [wanted])
            for name, wanted in (self.where or {}).items()
        )

    def fact(self, reference: Reference, name: str) -> Any:
        """What the task's `facts` say of a sample.

        Raises:
            DataError: they say nothing of that name.
        """
        if name not in reference.facts:
            raise DataError(f"the metric '{self.name}' reads the fact '{name}'; give it in the task's section facts.")
        return reference.facts[name]

    @abstractmethod
    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        """Score one attempt. `answer` is what `parser` read from it; both are None where `needs` is no answer.

        Raises:
            DataError: the attempt or the reference lacks what the metric needs.
        """

    def close(self) -> None:
        """Give back what scoring held: idle processes. A later `score` works all the same."""

    def chance(self, reference: Reference) -> float | None:
        """Expected value of a blind guess at this sample, where there is one."""
        return None


def build_metrics(specs: Sequence[str | Mapping[str, Any]], where: str) -> tuple[Metric, ...]:
    """The metrics that a task's `metrics:` lists: names, or ``{metric: name, ...options}``.

    Raises:
        DataError: no metric at all, an unknown one, a wrong option, or two under one label.
    """
    if not specs:
        raise DataError(f"{where}: the list is empty; name at least one metric.")
    metrics = tuple(
        build_named("metric", spec, f"{where}[{i}]", Metric)  # type: ignore[type-abstract]
        for i, spec in enumerate(specs)
    )
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: two metrics are shown as '{name}'; give one of them a label of its own.")
    return metrics
