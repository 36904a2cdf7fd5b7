"""A run as a report reads it: its records, and of each sample the little that its tables and charts are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import DataError, UsageError, nearest
from evalharness.records.evidence import judged_labels, kinds_of, tool_statuses
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord
from evalharness.records.scores import aggregate_of
from evalharness.report.choices import Choice, choice_of

Outcome = Literal["right", "wrong", "scored", "failed"]
"""``scored`` where the metric knows no right and wrong, or the sample lacks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One generated text."""

    finish_reason: str
    stop: str | None
    tokens: int | None
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What tables and charts are made of, of one sample."""

    id: str
    index: int
    subset: str | None
    cluster: str | None
    scores: Mapping[str, float]
    weights: Mapping[str, float]
    parts: Mapping[str, Sequence[float]]
    """What the metrics of the corpus sum up."""
    flags: tuple[str, ...]
    error: str | None
    reasons: tuple[str, ...]
    """Why nothing was read, of each repeat without an answer."""
    outputs: tuple[Output, ...]
    choice: Choice | None
    verdicts: tuple[tuple[str, str], ...]
    """Judge and label of each verdict."""
    tools: tuple[tuple[str, str], ...]
    """Tool and status of each use."""
    kinds: tuple[str, ...]
    """Of what is wrong with its function calls."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of its verdicts, each once."""
        return tuple(dict.fromkeys(label for _, label in self.verdicts))


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One run of a report."""

    run: Run
    record: RunRecord
    results: ResultsRecord
    metric: str
    """By which samples are right and wrong."""
    facts: Sequence[Facts]
    """In the order of the data."""
    notes: tuple[str, ...] = ()
    """What a reader must know first."""
    flips: Mapping[str, Literal["fixed", "broken"]] = field(default_factory=dict)
    """Samples whose score differs from the other run's, by id."""

    @property
    def judged(self) -> bool:
        """Whether the metric knows right, which is 1, and wrong, which is less."""
        score = self.results.scores[self.metric]
        unit = not (score.value is not None and score.value > 1)  # a score that is no number is one of these
        return score.higher_is_better and unit and not score.aggregate.startswith("corpus_")

    def outcome(self, sample: Facts) -> Outcome:
        if sample.error is not None:
            return "failed"
        if not self.judged or self.metric not in sample.scores:
            return "scored"
        # A score that is not a number compares false, and is wrong.
        return "right" if sample.scores[self.metric] >= 1 else "wrong"


def read_reported(run: Run, metric: str | None = None) -> Reported:
    """Read a run, finished or not.

    Raises:
        UsageError: the run has no such metric.
        DataError: a file is damaged, or no sample is there.
        DiskError: a file cannot be read.
    """
    record, results = run.record, run.results
    facts = sorted((facts_of(line) for line in run.lines()), key=lambda sample: (sample.subset or "", sample.index))
    if not facts:
        raise DataError(
            f"{run.path}: no sample is in its journal (the run is {record.state}), so there is nothing to report; "
            "give its command again to finish it."
        )
    current = results is not None and results.samples == len(facts)
    notes = [*_state(record, len(facts)), *_torn(run.journal), *_numbers(facts)]
    if results is None or not current:
        results = provisional(record, results, facts)
        notes.append("Its scores were computed from the journal for this report.")
    if results.note:
        notes.append(results.note)
    if not results.scores:
        raise DataError(
            f"{run.path}: {_why_no_score(facts)} (it is {record.state}); give its command again to finish it."
        )
    name = metric or next(iter(results.scores))
    if name not in results.scores:
        raise UsageError(f"--metric {name}: {run.path} has no such metric; {nearest(name, results.scores)}")
    return Reported(run=run, record=record, results=results, metric=name, facts=facts, notes=tuple(notes))


def facts_of(line: Mapping[str, Any]) -> Facts:
    """The facts of a line of the journal."""
    repeats = line.get("repeats") or ()
    return Facts(
        id=str(line["id"]),
        index=int(line.get("index", 0)),
        subset=line.get("subset"),
        cluster=line.get("cluster"),
        scores={name: float(value) for name, value in (line.get("scores") or {}).items() if value is not None},
        weights=line.get("weights") or {},
        parts=line.get("parts") or {},
        flags=tuple(line.get("flags") or ()),
        error=line.get("error"),
        reasons=tuple(each["why"] for each in repeats if each.get("why") and each.get("answer") is None),
        outputs=tuple(
            Output(
                finish_reason=str(said.get("finish_reason", "unknown")),
                stop=said.get("stop"),
                tokens=said.get("tokens"),
                characters=len(said["text"]),
            )
            for repeat in repeats
            for call in repeat["calls"]
            for said in call.get("completions") or ()
        ),
        choice=choice_of(line),
        verdicts=tuple(judged_labels(line)),
        tools=tuple(tool_statuses(line)),
        kinds=tuple(kinds_of(line)),
    )


def _state(record: RunRecord, found: int) -> list[str]:
    if record.state != "finished":
        return [f"This run is not finished ({record.state}): {found:,} of {record.samples:,} samples are here."]
    if found < record.samples:
        return [f"Samples are missing: {found:,} of {record.samples:,} are here."]
    return []


def _why_no_score(facts: Sequence[Facts]) -> str:
    if all(sample.error is not None for sample in facts):
        return f"every one of the run's {len(facts)} samples failed, the first with '{facts[0].error}'"
    return "the run has no results.json, without which its metrics cannot be told"


def _torn(journal: Path) -> list[str]:
    with journal.open("rb") as file:
        file.seek(-1, 2)
        whole = file.read(1) == b"\n"
    return [] if whole else ["The journal's last line is torn and was left out."]


def _numbers(facts: Sequence[Facts]) -> list[str]:
    notes = []
    if failed := sum(sample.error is not None for sample in facts):
        notes.append(f"{failed:,} of {len(facts):,} samples failed; no score counts them.")
    if broken := sum(not all(map(math.isfinite, sample.scores.values())) for sample in facts):
        notes.append(f"{broken:,} samples have a score that is not a finite number, and so may the means over them.")
    return notes


# ------------------------------------------------------------- scores of a run that was not summarised, or not lately


def provisional(record: RunRecord, before: ResultsRecord | None, facts: Sequence[Facts]) -> ResultsRecord:
    """What results.json would say of these samples.

    Without an older results.json nobody says how a metric is aggregated: then only metrics are told whose every value
    lies in [0, 1] and weighs the same, as means.
    """
    names = list(dict.fromkeys(name for sample in facts for name in sample.scores))
    known = before.scores if before is not None else {name: _unknown() for name in names if _plain(facts, name)}
    subsets = sorted({sample.subset for sample in facts if sample.subset is not None})
    groups = record.definition.get("data", {}).get("subsets", {}) if len(subsets) > 1 else {}
    members = {group: [sample for sample in facts if sample.subset in parts] for group, parts in groups.items()}
    return ResultsRecord(
        run=record.id,
        scores=_scores(facts, known),
        subsets={
            subset: _scores([sample for sample in facts if sample.subset == subset], known)
            for subset in (subsets if len(subsets) > 1 else ())
        },
        groups={group: _scores(part, known) for group, part in members.items() if part},
        samples=len(facts),
        of=record.of,
        counts={
            flag: sum(flag in sample.flags for sample in facts)
            for flag in ("unparsed", "truncated", "empty", "errored", "cut", "undecided")
        },
        usage=before.usage if before is not None else {},
        engine=before.engine if before is not None else {},
        seconds=before.seconds if before is not None else 0.0,
        note=before.note if before is not None else None,
    )


def _unknown() -> ScoreRecord:
    return ScoreRecord(value=None, n=0)


def _plain(facts: Iterable[Facts], name: str) -> bool:
    return all(
        name not in sample.weights and not (sample.scores[name] < 0 or sample.scores[name] > 1)
        for sample in facts
        if name in sample.scores
    )


def _scores(facts: Sequence[Facts], known: Mapping[str, ScoreRecord]) -> dict[str, ScoreRecord]:
    return {name: aggregate_of(facts, name, score.higher_is_better, score.aggregate) for name, score in known.items()}
