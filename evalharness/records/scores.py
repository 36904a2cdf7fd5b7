"""What comparisons, gates and tables read of a run: its scores by sample, and what says whether two runs compare.

A journal holds prompts and texts, a thousand bytes and more a sample, of which scores are a hundred: only those bytes
are parsed. A committed baseline (`records.baseline`) holds nothing else, and is read into the same `Scores`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from evalharness.errors import DataError
from evalharness.records.folder import Run
from evalharness.records.journal import whole_lines
from evalharness.records.run import Aggregate, ResultsRecord, RunRecord, ScoreRecord, perturbed_by, score_record
from evalharness.records.strict_json import parse


class SampleScores(NamedTuple):
    """One sample, scored."""

    id: str
    content_hash: str
    scores: Mapping[str, float]
    """By metric; empty where the sample failed."""
    weights: Mapping[str, float] = {}
    """Shares in the aggregates, where they are not 1."""
    subset: str | None = None
    cluster: str | None = None
    flags: tuple[str, ...] = ()
    failed: bool = False
    parts: Mapping[str, Sequence[float]] = {}
    """What the metrics of the corpus sum up."""


class MetricFacts(NamedTuple):
    """What a metric's values mean."""

    higher_is_better: bool = True
    aggregate: Aggregate = "mean"
    within: float | None = None
    """Mean variance of a sample's repeats divided by their number, where a score is the mean of several repeats."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one run, or of a baseline that was kept of one."""

    place: str
    """The run's folder, or the baseline's file."""
    run: str
    """Id of the run."""
    task: str
    version: int
    protocol: str
    ability: str
    subsets: Mapping[str, str]
    """Group by subset, where the task has subsets."""
    hashes: Mapping[str, str]
    """protocol and demonstrations; unperturbed, of a variant: the protocol without its perturbations."""
    model: Mapping[str, Any]
    """name, fingerprint, numerics, dtype, threads, cpu: whatever of them is known."""
    options: Mapping[str, Any]
    """What was asked for: the options of the run that were not left at their defaults."""
    created: str
    state: str
    asked: int
    """Samples that the run was to have."""
    of: int | None
    """Samples of the whole benchmark; None where unknown."""
    demo: bool
    """Whether a bundled sample stood in for the benchmark."""
    metrics: Mapping[str, MetricFacts]
    """By name; the first is the headline."""
    samples: Mapping[str, SampleScores]
    """By id."""
    efficiency: Mapping[str, float] = field(default_factory=dict)
    """seconds, prompt_tokens, distinct_tokens, generated_tokens, peak_kv_bytes, cost: whatever of them is known."""

    @property
    def headline(self) -> str:
        return next(iter(self.metrics))

    @property
    def variant(self) -> str:
        """How its questions were perturbed: ``typos (rate=0.2)``; empty where they were not."""
        if "unperturbed" not in self.hashes:
            return ""
        perturb = self.options.get("set", {}).get("perturb", ())
        return perturbed_by(perturb) or "perturbed as its task says"

    @property
    def model_name(self) -> str:
        return str(self.model["name"])

    @cached_property
    def failed(self) -> int:
        """Samples that failed, or that no metric could score with a number."""
        return sum(
            sample.failed or not all(map(math.isfinite, sample.scores.values())) for sample in self.samples.values()
        )

    @property
    def missing(self) -> int:
        """Samples that the run was to have and has not."""
        return max(0, self.asked - len(self.samples))


def scores_of_run(run: Run) -> Scores:
    """Read a run's scores.

    Raises:
        DataError: a file is damaged, a sample stands in the journal twice, or the run was never summarised.
        DiskError: a file cannot be read.
    """
    record, results = run.record, run.results
    samples = read_sample_scores(run.journal)
    metrics = _metrics(run, results, samples)
    return Scores(
        place=str(run.path),
        run=record.id,
        task=record.task,
        version=int(record.settings.get("task", {}).get("version", record.definition.get("version", 1))),
        protocol=record.protocol,
        ability=str(record.definition.get("ability", "")),
        subsets=_groups(record),
        hashes={name: record.hashes.get(name, "") for name in ("protocol", "demonstrations")}
        | {name: record.hashes[name] for name in ("unperturbed",) if name in record.hashes},
        model=_model(record),
        options=record.options,
        created=record.created,
        state=record.state,
        asked=record.samples,
        of=record.of,
        demo=any(source.get("kind") == "demo" for source in record.data),
        metrics=metrics,
        samples=samples,
        efficiency=_efficiency(results),
    )


def _metrics(run: Run, results: ResultsRecord | None, samples: Mapping[str, SampleScores]) -> dict[str, MetricFacts]:
    if results is not None:
        averaged = run.record.definition.get("reducer", "mean") == "mean"
        return {name: _facts(score, averaged) for name, score in results.scores.items()}
    if any(sample.scores for sample in samples.values()):
        raise DataError(f"{run.path}: the run has not ended, so it has no results.json; run it again to finish it.")
    return {"none": MetricFacts()}


def _facts(score: ScoreRecord, averaged: bool) -> MetricFacts:
    repeats = score.repeats if averaged else None
    within = None if repeats is None else repeats.within / repeats.repeats
    return MetricFacts(score.higher_is_better, score.aggregate, within)


def _groups(record: RunRecord) -> dict[str, str]:
    groups = record.definition.get("data", {}).get("subsets", {})
    if not isinstance(groups, dict):  # a plain list, before there were groups
        return {}
    return {subset: group for group, members in groups.items() for subset in members}


def _model(record: RunRecord) -> dict[str, Any]:
    model, details = record.model, record.model.get("details", {})
    found = {key: model.get(key) for key in ("name", "kind", "fingerprint", "tokenizer", "numerics")}
    found |= {key: details.get(key) for key in ("dtype", "device", "threads", "quantisation", "weights", "parameters")}
    found["cpu"] = record.environment.get("cpu")
    found["judge"] = record.judge["name"] if record.judge else None
    found["torch"] = record.environment.get("versions", {}).get("torch")
    return {key: value for key, value in found.items() if value is not None}


def _efficiency(results: ResultsRecord | None) -> dict[str, float]:
    if results is None:
        return {}
    found: dict[str, float] = {"seconds": results.seconds, **results.usage}
    if "peak_kv_bytes" in results.engine:
        found["peak_kv_bytes"] = results.engine["peak_kv_bytes"]
    if "cost" in results.spent:
        found["cost"] = results.spent["cost"]
    return found


def score_records(scores: Scores) -> dict[str, ScoreRecord]:
    """The aggregate of every metric over the samples, as results.json has it."""
    return {
        name: aggregate_of(scores.samples.values(), name, facts.higher_is_better, facts.aggregate)
        for name, facts in scores.metrics.items()
    }


class _Scored(Protocol):
    """What an aggregate needs of a sample."""

    @property
    def id(self) -> str: ...

    @property
    def scores(self) -> Mapping[str, float]: ...

    @property
    def weights(self) -> Mapping[str, float]: ...

    @property
    def parts(self) -> Mapping[str, Sequence[float]]: ...

    @property
    def subset(self) -> str | None: ...

    @property
    def cluster(self) -> str | None: ...


def aggregate_of(samples: Iterable[_Scored], metric: str, higher_is_better: bool, aggregate: Aggregate) -> ScoreRecord:
    """One metric over the samples that have it."""
    scored = [sample for sample in samples if metric in sample.scores]
    return score_record(
        [sample.scores[metric] for sample in scored],
        [sample.weights.get(metric, 1.0) for sample in scored],
        [sample.cluster or sample.id for sample in scored],
        aggregate=aggregate,
        higher_is_better=higher_is_better,
        parts=[sample.parts[metric] for sample in scored] if aggregate.startswith("corpus_") else (),
        subsets=[sample.subset for sample in scored],
    )


# --------------------------------------------------------------------------- the journal


def read_sample_scores(path: Path) -> dict[str, SampleScores]:
    """The scores of a journal's samples by id, in the order of writing; a torn last line is left out.

    Raises:
        DataError: there is no journal, a line before the last is damaged, or a sample that did not fail has two lines.
        DiskError: it cannot be read.
    """
    found: dict[str, SampleScores] = {}
    for number, (_, sample) in enumerate(whole_lines(path, _few), 1):
        before = found.get(sample.id)
        if before is not None and not before.failed:
            raise DataError(
                f"{path}: line {number}: the sample '{sample.id}' stands there twice, and its first line did not fail; "
                "delete one of the two."
            )
        found.pop(sample.id, None)  # in the order of the lines that count
        found[sample.id] = sample
    return found


def _few(raw: bytes) -> SampleScores | None:
    """A line's scores, from the bytes that hold them; from the whole line where its keys stand in another order.

    A quotation mark inside a text is escaped, so ``,"target":`` is a key wherever it stands.
    """
    head, scores = raw.find(b',"target":'), raw.find(b',"scores":')
    end = raw.find(b',"repeats":[', scores)
    if 0 < head < scores < end and raw.endswith((b"]}\n", b"}\n")):
        line = parse(raw[:head] + raw[scores:end] + b"}")
        if line is not None and line.keys() >= _REQUIRED:
            return _of_line(line)
    line = parse(raw)
    return _of_line(line) if line is not None and line.keys() >= _REQUIRED else None


_REQUIRED = {"id", "content_hash", "scores", "flags"}


def _of_line(line: Mapping[str, Any]) -> SampleScores:
    return SampleScores(
        id=str(line["id"]),
        content_hash=line["content_hash"],
        scores={name: float(value) for name, value in line["scores"].items() if value is not None},
        weights=line.get("weights", {}),
        parts=line.get("parts", {}),
        subset=line.get("subset"),
        cluster=line.get("cluster"),
        flags=tuple(line["flags"]),
        failed=bool(line.get("error")),
    )


def read_json(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        DataError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}.") from None
