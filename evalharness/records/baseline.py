"""A committed baseline: the scores of a run in one small file, without a word of the data set or of the model.

    {"kind": "baseline", "format": 1, "task": ..., "hashes": {...}, "metrics": {...}, "history": [...],
     "ids": [...], "content": [...], "scores": {"acc": [...]}, ...}

Its lists stand in one order, a sample a place. Content hashes are cut to 16 hexadecimal digits, which still tell apart
what a benchmark holds. `history` says who replaced what, when and why; the last entry is the one in force.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from evalharness.errors import DataError, DiskError
from evalharness.records.format import FORMAT
from evalharness.records.sample import Number, Record
from evalharness.records.scores import MetricFacts, SampleScores, Scores, read_json, score_records

PLACES = (
    "model", "output", "data_dir", "include", "resume", "tokenizer", "adapter", "model_options", "cache", "executor",
    "workers", "ray_address", "max_tokens_total", "max_cost",
)  # fmt: skip
"""Options that say where things lie and compute, which are the candidate's own."""
DIGITS = 16
"""Of a content hash."""


class Replacement(Record):
    """One entry of a baseline's history."""

    date: str
    """ISO 8601, UTC."""
    by: str
    why: str
    run: str
    """Id of the run that became the baseline."""
    model: str
    scores: dict[str, float | None]
    """By metric."""


class BaselineRecord(Record):
    """The file."""

    kind: str = "baseline"
    format: int = FORMAT
    run: str
    task: str
    version: int
    protocol: str
    ability: str = ""
    subsets: dict[str, str] = Field(default_factory=dict)
    """Group by subset."""
    hashes: dict[str, str]
    model: dict[str, Any]
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the run: what a candidate is asked in the same way. Places of this machine are left out."""
    created: str
    of: int | None = None
    demo: bool = False
    metrics: dict[str, dict[str, Any]]
    """By name: higher_is_better, aggregate, and within where there were repeats; the first is the headline."""
    efficiency: dict[str, float] = Field(default_factory=dict)
    history: list[Replacement]
    ids: list[str]
    content: list[str]
    scores: dict[str, list[Number | None]]
    """By metric, in the order of the ids; null where a sample has none."""
    weights: dict[str, list[float]] = Field(default_factory=dict)
    parts: dict[str, list[list[float]]] = Field(default_factory=dict)
    """By metric of the corpus, each sample's counts; empty where a sample has none."""
    subset: list[str | None] = Field(default_factory=list)
    """Of each sample; empty where none has one."""
    cluster: list[str | None] = Field(default_factory=list)
    """Of each sample; empty where none has one."""
    flags: dict[str, list[str]] = Field(default_factory=dict)
    """By id, of the samples that have any."""
    failed: list[str] = Field(default_factory=list)
    """Ids of samples that failed."""


def save_baseline(scores: Scores, path: Path, *, by: str, why: str, date: str) -> BaselineRecord:
    """Keep a run's scores as the baseline `path`, which goes on with the history of the file that it replaces.

    Raises:
        DataError: what stands there is no baseline, or one of another task.
        DiskError: the disk refuses.
    """
    history: list[Replacement] = []
    if path.is_file():
        old = read_baseline(path)
        if old.task != scores.task:
            raise DataError(
                f"{path}: a baseline of {old.task}, which {scores.task} must not replace; name another file."
            )
        history = old.history
    values = {name: _finite(score.value) for name, score in score_records(scores).items()}
    entry = Replacement(date=date, by=by, why=why, run=scores.run, model=scores.model_name, scores=values)
    record = _record(scores, [*history, entry])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.part")
        draft.write_text(_text(record), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror}.") from None
    return record


def is_baseline(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json"


def read_baseline(path: Path) -> BaselineRecord:
    """The baseline of a file.

    Raises:
        DataError: it is none, is damaged, or is of a newer format.
    """
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != "baseline":
        raise DataError(f"{path}: no baseline; `evalharness baseline save RUN` writes one.")
    version = values.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise DataError(f"{path}: format {version} is newer than this evalharness knows ({FORMAT}); upgrade it.")
    try:
        record = BaselineRecord.model_validate(values)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(f"{path}: the key '{place}' is missing or wrong: {error.errors()[0]['msg']}.") from None
    lists: list[Sequence[Any]] = [
        record.content,
        *record.scores.values(),
        *record.weights.values(),
        *record.parts.values(),
    ]
    lists += [few for few in (record.subset, record.cluster) if few]
    if any(len(one) != len(record.ids) for one in lists):
        raise DataError(f"{path}: its lists have different lengths; save the baseline again.")
    if len(set(record.ids)) < len(record.ids):
        raise DataError(f"{path}: an id stands there twice; save the baseline again.")
    return record


def scores_of_baseline(path: Path) -> Scores:
    """A baseline as the scores of its run.

    Raises:
        DataError: as `read_baseline`.
    """
    record = read_baseline(path)
    failed = set(record.failed)
    samples = {}
    for place, (id, content) in enumerate(zip(record.ids, record.content, strict=True)):
        values = {name: column[place] for name, column in record.scores.items()}
        samples[id] = SampleScores(
            id=id,
            content_hash=content,
            scores={name: float(value) for name, value in values.items() if value is not None},
            weights={name: column[place] for name, column in record.weights.items()},
            parts={name: column[place] for name, column in record.parts.items() if column[place]},
            subset=record.subset[place] if record.subset else None,
            cluster=record.cluster[place] if record.cluster else None,
            flags=tuple(record.flags.get(id, ())),
            failed=id in failed,
        )
    return Scores(
        place=str(path),
        run=record.run,
        task=record.task,
        version=record.version,
        protocol=record.protocol,
        ability=record.ability,
        subsets=record.subsets,
        hashes=record.hashes,
        model=record.model,
        options=record.options,
        created=record.created,
        state="finished",
        asked=len(samples),
        of=record.of,
        demo=record.demo,
        metrics={name: MetricFacts(**facts) for name, facts in record.metrics.items()},
        samples=samples,
        efficiency=record.efficiency,
    )


def _record(scores: Scores, history: list[Replacement]) -> BaselineRecord:
    samples = list(scores.samples.values())
    weighted = {name for sample in samples for name in sample.weights}
    return BaselineRecord(
        run=scores.run,
        task=scores.task,
        version=scores.version,
        protocol=scores.protocol,
        ability=scores.ability,
        subsets=dict(scores.subsets),
        hashes=dict(scores.hashes),
        model=dict(scores.model),
        options={key: value for key, value in scores.options.items() if key not in PLACES},
        created=scores.created,
        of=scores.of,
        demo=scores.demo,
        metrics={name: _known(facts) for name, facts in scores.metrics.items()},
        efficiency=dict(scores.efficiency),
        history=history,
        ids=[sample.id for sample in samples],
        content=[sample.content_hash[:DIGITS] for sample in samples],
        scores={name: [_spelled(sample.scores.get(name)) for sample in samples] for name in scores.metrics},
        weights={
            name: [sample.weights.get(name, 1.0) for sample in samples] for name in scores.metrics if name in weighted
        },
        parts={
            name: [list(sample.parts.get(name, ())) for sample in samples]
            for name, facts in scores.metrics.items()
            if facts.aggregate.startswith("corpus_")
        },
        subset=[sample.subset for sample in samples] if any(sample.subset for sample in samples) else [],
        cluster=[sample.cluster for sample in samples] if any(sample.cluster for sample in samples) else [],
        flags={sample.id: list(sample.flags) for sample in samples if sample.flags},
        failed=[sample.id for sample in samples if sample.failed],
    )


def _known(facts: MetricFacts) -> dict[str, Any]:
    return {key: value for key, value in facts._asdict().items() if value is not None}


def _spelled(value: float | None) -> Number | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _text(record: BaselineRecord) -> str:
    """JSON with a key a line, so that a diff shows what changed and lists do not fill a screen."""
    values = record.model_dump(mode="json", exclude_defaults=False)
    lines = [f" {json.dumps(key)}: {_value(value)}" for key, value in values.items() if value not in ([], {})]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        entries = ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
        return f"[\n  {entries}\n ]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
