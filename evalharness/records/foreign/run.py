"""What another harness measured, as a run's folder: the one path from every foreign format into our records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import UsageError
from evalharness.records.encode import FLAGS, sample_line
from evalharness.records.folder import Run
from evalharness.records.journal import Journal
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord, repeats_record
from evalharness.records.scores import MetricFacts, SampleScores, aggregate_of
from evalharness.types import Attempt, Parsed, Reference, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignScored:
    """What a foreign harness says that one attempt is worth."""

    answer: Parsed | None = None
    votes: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSample:
    """One sample with all of its repeats."""

    sample: Sample
    reference: Reference
    attempts: Sequence[Attempt]
    scoreds: Sequence[ForeignScored]
    """One an attempt."""
    scores: Mapping[str, Score]
    """The repeats reduced to one; empty where the sample failed."""
    flags: Collection[str] = ()
    error: str | None = None

    def line(self, task: str) -> dict[str, Any]:
        """As the journal keeps it."""
        return sample_line(
            task=task,
            sample=self.sample,
            reference=self.reference,
            attempts=self.attempts,
            scoreds=self.scoreds,
            reduced=self.scores,
            flags=self.flags,
            error=self.error,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRun:
    """One task that another harness ran."""

    record: RunRecord
    metrics: Mapping[str, MetricFacts]
    """By name; the first is the headline."""
    samples: Sequence[ForeignSample]
    notes: Sequence[str] = ()
    """What a reader must know of it, a clause each."""
    usage: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def lines(self) -> Iterable[dict[str, Any]]:
        return (sample.line(self.record.task) for sample in self.samples)

    def results(self) -> ResultsRecord:
        """The aggregates of the samples' scores, with our intervals."""
        counts = Counter(flag for sample in self.samples for flag in sample.flags)
        return ResultsRecord(
            run=self.record.id,
            scores={name: self._aggregate(name, facts) for name, facts in self.metrics.items()},
            samples=len(self.samples),
            of=self.record.of,
            counts={flag: counts[flag] for flag in FLAGS},
            usage=dict(self.usage),
            seconds=round(self.seconds, 3),
            note=told(self.notes),
        )

    def _aggregate(self, metric: str, facts: MetricFacts) -> ScoreRecord:
        scored = [
            SampleScores(
                id=sample.sample.id,
                content_hash=sample.sample.content_hash,
                scores={name: score.value for name, score in sample.scores.items()},
                weights={name: score.weight for name, score in sample.scores.items()},
                cluster=sample.sample.cluster,
            )
            for sample in self.samples
        ]
        found = aggregate_of(scored, metric, facts.higher_is_better, facts.aggregate)
        repeats = [[scored.scores[metric].value for scored in sample.scoreds if metric in scored.scores]
                   for sample in self.samples]  # fmt: skip
        return found.model_copy(update={"repeats": repeats_record(repeats)})


def told(notes: Sequence[str]) -> str | None:
    """Clauses as the note of results.json."""
    return "; ".join(dict.fromkeys(notes)) or None


def folder_name(record: RunRecord) -> str:
    """``<date>-<task>-<model>-<hash>``, as our own runs are called."""
    parts = (record.task, str(record.model["name"]))
    slugs = (re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-") for part in parts)
    return "-".join((record.created[:10], *slugs, record.hashes["settings"][:8]))


def check_free(path: Path) -> None:
    """
    Raises:
        UsageError: something is there already.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"{path}: there already; where it holds these results from an earlier import, they need no second one, "
            "else remove it or name another place with --to."
        )


def keep(record: RunRecord, lines: Iterable[Mapping[str, Any]], results: ResultsRecord, path: Path) -> Run:
    """Write a run's folder.

    Raises:
        UsageError: something is there already.
        DiskError: the disk refuses.
    """
    check_free(path)
    run = Run(path)
    run.write(record.model_copy(update={"id": path.name, "state": "running", "finished": None}))
    with Journal(run.journal) as journal:
        for line in lines:
            journal.append(line)
    run.write(results.model_copy(update={"run": path.name}))
    run.write(record.model_copy(update={"id": path.name}))
    return run
