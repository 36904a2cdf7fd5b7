"""A task that lm-eval ran, as a run of ours: its scores by sample, and where they came from."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

from evalharness import __version__
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.records.environment import without_secrets
from evalharness.records.foreign.lm_eval import DECLARED, Logged, LoggedTask, attempt_of, output_type
from evalharness.records.foreign.read import as_declared
from evalharness.records.foreign.run import ForeignRun, ForeignSample, ForeignScored
from evalharness.records.run import RunRecord, score_record
from evalharness.records.scores import MetricFacts
from evalharness.records.strict_json import spelled
from evalharness.types import Attempt, Parsed, Reference, Sample, Score

PROTOCOL = "foreign:lm-eval"
INVALID = "[invalid]"
"""lm-eval's mark for a text in which a filter found nothing."""
_UNITS = {"word_perplexity": "words", "byte_perplexity": "bytes", "bits_per_byte": "bytes"}
"""Metrics that are logged as a log-likelihood beside the length that divides it, and what that length counts."""
LARGEST_EXPONENT = 700.0
"""exp of it is still a finite double."""
AGREES = 1e-6
"""Relative difference up to which an aggregate of samples is the one that lm-eval reports."""


def metric_name(metric: str, chain: str) -> str:
    """A metric under a chain of filters, as our own tasks label it."""
    return metric if chain == "none" else f"{metric},{chain}"


def run_of(task: LoggedTask) -> ForeignRun:
    """The run of one task, foreign to every protocol of ours.

    Raises:
        DataError: the log lacks what the task scores, or no metric can be told by sample.
    """
    with as_declared(str(task.place), DECLARED):
        return _run(task)


def _run(task: LoggedTask) -> ForeignRun:
    attempts = [attempt_of(task, doc) for doc in task.docs]
    metrics, notes = _metrics(task)
    if not metrics:
        raise DataError(f"{task.place}: {'; '.join(notes) or 'no metric was logged'}, so there is no score to import.")
    samples = [_sample(task, doc, attempt, metrics) for doc, attempt in zip(task.docs, attempts, strict=True)]
    seconds = _number(task.file.get("total_evaluation_time_seconds"))
    return ForeignRun(
        record=_record(task, seconds),
        metrics=metrics,
        samples=samples,
        notes=notes,
        usage={"requests": sum(len(doc.arguments) for doc in task.docs)},
        seconds=seconds,
    )


# --------------------------------------------------------------------------- scores


def _metrics(task: LoggedTask) -> tuple[dict[str, MetricFacts], list[str]]:
    """The metrics that can be told by sample, and why others cannot."""
    found, notes = {}, []
    for metric, chain in dict.fromkeys(key for doc in task.docs for key in doc.metrics):
        name, facts = metric_name(metric, chain), _facts(task, metric)
        scores = [score_of(task, doc, metric, chain) for doc in task.docs if (metric, chain) in doc.metrics]
        reported = task.results.get(f"{metric},{chain}")
        if any(score is None for score in scores):
            notes.append(f"{name} has no number a sample, so it is left out (lm-eval reports {reported})")
            continue
        value = _aggregate([score for score in scores if score is not None], facts)
        if _agrees(value, reported):
            found[name] = facts
        elif _aggregation(task, metric) in ("mean", "nanmean", "perplexity", None):
            found[name] = facts
            notes.append(f"{name}: its samples come to {value:.6g}, where lm-eval reports {reported}")
        else:
            notes.append(
                f"{name} is no mean of its samples (they come to {value:.6g}), so it is left out (lm-eval reports "
                f"{reported})"
            )
    return found, notes


def _facts(task: LoggedTask, metric: str) -> MetricFacts:
    geometric = metric in ("word_perplexity", "byte_perplexity") or _aggregation(task, metric) == "perplexity"
    higher = task.fact("higher_is_better", {}).get(metric)
    usual = not geometric and metric != "bits_per_byte"
    return MetricFacts(usual if higher is None else bool(higher), "geometric_mean" if geometric else "mean")


def _aggregation(task: LoggedTask, metric: str) -> str | None:
    """What lm-eval made of the samples' values; None where its configuration does not say."""
    listed = task.config.get("metric_list")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    said = next((entry.get("aggregation") for entry in entries if entry.get("metric") == metric), None)
    if said is None and metric == "perplexity":
        return "perplexity"
    return said if isinstance(said, str) else None


def score_of(task: LoggedTask, doc: Logged, metric: str, chain: str) -> Score | None:
    """A logged value as a score of ours; None where it is no number of one sample.

    Perplexities are logged as log-likelihoods, those of documents beside the length that divides them.
    """
    value = doc.metrics[metric, chain]
    if metric in _UNITS and isinstance(value, list) and len(value) == 2:
        total, units = map(_number, value)
        if units <= 0:
            return Score(0.0 if metric == "bits_per_byte" else 1.0, 0.0)
        if metric == "bits_per_byte":
            return Score(-total / units / math.log(2), units)
        return Score(_exponential(-total / units), units)
    if isinstance(value, bool | int | float):
        return Score(_exponential(-float(value))) if _aggregation(task, metric) == "perplexity" else Score(float(value))
    return None


def _exponential(exponent: float) -> float:
    if math.isnan(exponent):
        return exponent
    return math.exp(max(-LARGEST_EXPONENT, min(LARGEST_EXPONENT, exponent)))


def _aggregate(scores: Sequence[Score], facts: MetricFacts) -> float:
    found = score_record(
        [score.value for score in scores],
        [score.weight for score in scores],
        [str(place) for place in range(len(scores))],
        aggregate=facts.aggregate,
        higher_is_better=facts.higher_is_better,
    )
    return math.nan if found.value is None else found.value


def _agrees(value: float, reported: Any) -> bool:
    if not isinstance(reported, int | float):
        return True  # nothing to hold it against
    both_nan = math.isnan(value) and math.isnan(reported)
    return both_nan or math.isclose(value, reported, rel_tol=AGREES, abs_tol=1e-12)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


# --------------------------------------------------------------------------- samples


def _sample(task: LoggedTask, doc: Logged, attempt: Attempt, metrics: Mapping[str, MetricFacts]) -> ForeignSample:
    every = {
        metric_name(metric, chain): score_of(task, doc, metric, chain)
        for metric, chain in doc.metrics
        if metric_name(metric, chain) in metrics
    }
    scores = {name: score for name, score in every.items() if score is not None}
    answer = _answer(doc) if output_type(task) == "generate_until" else None
    flags = {
        "unparsed": answer is not None and answer.value is None,
        "empty": any(not text.strip() for text in attempt.candidates),
    }
    return ForeignSample(
        sample=Sample(
            id=str(doc.doc_id),
            index=doc.doc_id,
            row={},
            content_hash=doc.doc_hash or sha256_text(canonical_json([doc.arguments, doc.target])),
        ),
        reference=_reference(task, doc),
        attempts=[attempt],
        scoreds=[ForeignScored(answer=answer, scores=scores)],
        scores=scores,
        flags=[flag for flag, up in flags.items() if up],
    )


def _answer(doc: Logged) -> Parsed:
    """What the first chain of filters left."""
    left = next(iter(doc.filtered.values()), None)
    if isinstance(left, str) and left != INVALID:
        return Parsed(left)
    return Parsed(None, why="lm-eval's filters found nothing")


def _reference(task: LoggedTask, doc: Logged) -> Reference:
    match output_type(task):
        case "multiple_choice":
            choices = _choices(task, doc)
            return Reference(target=_positions(doc.target, choices), choices=choices)
        case "loglikelihood_rolling":
            return Reference(units=_units(doc))
        case _:
            return Reference(target=doc.target)


def _choices(task: LoggedTask, doc: Logged) -> tuple[str, ...]:
    """The scored texts without their delimiter; where the choices stand in the contexts, what differs between those."""
    asked = [tuple(map(str, each)) for each in doc.arguments if len(each) == 2]
    texts = [continuation for _, continuation in asked]
    if len(set(texts)) == 1 and len(texts) > 1:
        return _what_differs([context for context, _ in asked])
    return tuple(text.removeprefix(task.delimiter) for text in texts)


def _what_differs(texts: Sequence[str]) -> tuple[str, ...]:
    """The words of each text between those with which all of them begin and end."""
    words = [re.split(r"(\s+)", text) for text in texts]
    begin = _alike(words)
    end = _alike([each[begin:][::-1] for each in words])
    return tuple("".join(each[begin : len(each) - end]) for each in words)


def _alike(lists: Sequence[Sequence[str]]) -> int:
    """How many items all of the lists begin with."""
    return sum(1 for _ in takewhile(lambda items: len(set(items)) == 1, zip(*lists, strict=False)))


def _positions(target: str, choices: Sequence[str]) -> str | int | tuple[int, ...]:
    """The right choice by its position, where the logged target names it so."""
    if target in choices:
        return choices.index(target)
    try:
        found = ast.literal_eval(target)
    except (SyntaxError, ValueError):
        return target
    several = tuple(found) if isinstance(found, list) else (found,)
    if not several or not all(type(each) is int and 0 <= each < len(choices) for each in several):
        return target
    return several if isinstance(found, list) else several[0]


def _units(doc: Logged) -> dict[str, int]:
    pairs = {metric: value for (metric, _), value in doc.metrics.items() if isinstance(value, list) and len(value) == 2}
    return {_UNITS[metric]: int(value[1]) for metric, value in pairs.items() if metric in _UNITS}


# --------------------------------------------------------------------------- the record


def _record(task: LoggedTask, seconds: float) -> RunRecord:
    began = datetime.fromtimestamp(_number(task.file.get("date")), UTC)
    model = model_of(task.file)
    hashes = {"protocol": f"{PROTOCOL}:{_asked_hash(task)}", "demonstrations": "none"}
    hashes["content"] = sha256_text(canonical_json([[str(doc.doc_id), doc.doc_hash] for doc in task.docs]))
    settings = without_secrets({
        "task": {"name": task.name, "version": 1, "protocol": PROTOCOL},
        "hashes": dict(hashes),
        "model": {key: model[key] for key in ("kind", "fingerprint", "tokenizer", "numerics", "max_length")},
        "lm_eval": _options(task.file),
    })  # fmt: skip
    counts = task.fact("n-samples", {})
    of = counts.get("original") if isinstance(counts, dict) else None
    return RunRecord(
        id="",
        state="finished",
        created=began.isoformat(timespec="seconds"),
        finished=(began + timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        task=task.name,
        protocol=PROTOCOL,
        definition={"name": task.name, "version": 1, "lm_eval": spelled(task.config)},
        task_source=f"lm-eval: {task.place}",
        model=model,
        model_spec=_spec(task.file),
        options={"task": [task.name]},
        settings=settings,
        hashes={**hashes, "settings": sha256_text(canonical_json(settings))},
        samples=len(task.docs),
        of=of if isinstance(of, int) else None,
        data=[data_of(task, of if isinstance(of, int) else None)],
        environment=environment_of(task),
    )


def _asked_hash(task: LoggedTask) -> str:
    """Of everything that was asked, what counts as right, and which metrics judge: stricter than lm-eval's own hash of
    a task, which covers neither continuations nor generation arguments."""
    return sha256_text(
        canonical_json([
            [[doc.arguments, doc.target_hash or doc.target] for doc in task.docs],
            sorted({metric_name(*key) for doc in task.docs for key in doc.metrics}),
        ])
    )  # fmt: skip


def model_of(file: Mapping[str, Any]) -> dict[str, Any]:
    """The model as run.json describes one."""
    config = _mapping(file, "config")
    source = str(file.get("model_source") or config.get("model") or "unknown")
    identity = [file.get("model_name"), config.get("model_args"), config.get("model_sha"), config.get("model_dtype")]
    details = {
        "dtype": str(config["model_dtype"]).removeprefix("torch.") if config.get("model_dtype") else None,
        "device": config.get("device"),
        "parameters": config.get("model_num_parameters"),
        "revision": config.get("model_revision"),
        "sha": config.get("model_sha") or None,
    }
    return {
        "name": _shown(str(file.get("model_name") or config.get("model_args") or source)),
        "kind": f"lm-eval:{source}",
        "fingerprint": sha256_text(canonical_json(spelled(without_secrets(identity)))),
        "numerics": "backend",
        "max_length": file.get("max_length"),
        "tokenizer": None,
        "details": {key: value for key, value in details.items() if value is not None},
    }


def _shown(name: str) -> str:
    """A model for people: of a path its last part."""
    return PurePosixPath(name).name if name.startswith(("/", "./", "../", "~")) else name


def environment_of(task: LoggedTask) -> dict[str, Any]:
    """What the run was made with; under ``lm_eval`` what a table of lm-eval's own shows beside the scores."""
    versions = {"lm_eval": task.file.get("lm_eval_version"), "transformers": task.file.get("transformers_version")}
    return {
        "versions": {name: version for name, version in versions.items() if isinstance(version, str)},
        "imported_by": f"evalharness {__version__}",
        "lm_eval": spelled(without_secrets({
            "task": task.name,
            "alias": task.results.get("alias"),
            "version": task.fact("versions"),
            "n_shot": task.fact("n-shot"),
            "higher_is_better": task.fact("higher_is_better"),
            "task_hash": task.fact("task_hashes"),
            "results": dict(task.results),
            "config": _options(task.file),
            "model_source": task.file.get("model_source"),
            "model_name": task.file.get("model_name"),
            "chat_template_sha": task.file.get("chat_template_sha"),
            "system_instruction_sha": task.file.get("system_instruction_sha"),
        })),
    }  # fmt: skip


def data_of(task: LoggedTask, of: int | None) -> dict[str, Any]:
    """Where lm-eval had the rows from, as run.json lists sources."""
    config = task.config
    return {
        "kind": "lm-eval",
        "location": str(config.get("dataset_path") or task.name),
        "split": config.get("test_split") or config.get("validation_split"),
        "config": config.get("dataset_name"),
        "n": len(task.docs),
        "of": of,
    }


def _options(file: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the command."""
    config = dict(_mapping(file, "config"))
    return {key: value for key, value in spelled(config).items() if key != "batch_sizes"}


def _spec(file: Mapping[str, Any]) -> str:
    config = _mapping(file, "config")
    arguments = config.get("model_args")
    if isinstance(arguments, dict):
        arguments = ",".join(f"{key}={value}" for key, value in arguments.items())
    return str(without_secrets(f"{config.get('model', 'unknown')} {arguments or ''}".strip()))


def _mapping(file: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = file.get(key)
    return found if isinstance(found, dict) else {}
