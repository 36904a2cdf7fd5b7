"""What is wrong with the passages that a task shows."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.data.split import Source
from evalharness.scoring.retrieval import RetrievalRecall
from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault

DISTRACTORS = 100
"""Passages that a question's own must be found among, at least: among a few, any search finds it."""


def check_recalls(task: Task) -> Iterator[Fault]:
    """recall@k of more passages than a row is given would say less than it seems to."""
    retrieve = task.definition.data.retrieve
    for number, metric in enumerate(task.metrics):
        if retrieve and isinstance(metric, RetrievalRecall) and metric.k > retrieve.k:
            yield Fault(
                "recall_beyond",
                f"metrics[{number}]",
                f"recall is asked of the first {metric.k} passages, but data.retrieve.k gives a row {retrieve.k}; "
                "raise that, or lower this.",
            )


def check_corpus(source: Source) -> Iterator[Fault]:
    """A corpus that is too small to search."""
    if source.corpus is not None and source.corpus.passages <= DISTRACTORS:
        yield Fault(
            "few_passages",
            "data.retrieve",
            f"the corpus has {source.corpus.passages} passages, so a question has fewer than {DISTRACTORS} "
            "distractors; add sources to it.",
        )
