"""A log of Inspect (inspect_ai) as a run of ours, from the JSON form of its `EvalLog`.

The format is version 2, as ``inspect_ai/log/_log.py`` declares it: ``eval`` (what was asked of which model), ``plan``
(solvers), ``results`` (aggregates), ``stats``, ``samples`` with one entry an epoch, ``reductions`` (epochs made one).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from evalharness import __version__
from evalharness.errors import DataError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.records.environment import without_secrets
from evalharness.records.foreign.read import as_declared, part, read_object
from evalharness.records.foreign.run import ForeignRun, ForeignSample, ForeignScored
from evalharness.records.run import RunRecord, State
from evalharness.records.scores import MetricFacts
from evalharness.records.strict_json import spelled
from evalharness.types import (
    Attempt,
    Call,
    Completion,
    FinishReason,
    Parsed,
    Prompt,
    Reference,
    Sample,
    Sampling,
    Score,
)

FORMAT = 2
"""Version of the log's format that is known; older ones are read alike."""
PROTOCOL = "foreign:inspect"
_STATES: dict[str, State] = {"success": "finished", "error": "failed", "cancelled": "interrupted"}
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's values for correct, partly correct, incorrect, no answer."""
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "stop",
    "max_tokens": "length",
    "model_length": "length",
}
_MEANS = ("accuracy", "mean")
"""Metrics of Inspect that are the mean of its samples' values."""
Json = Mapping[str, Any]


def read_log(path: Path) -> ForeignRun:
    """The run of a log.

    Raises:
        UsageError: there is no such file.
        DataError: it is torn, no log, of a newer format, in the form ``.eval``, or holds no sample.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name a log that Inspect wrote, in the form of JSON.")
    if path.suffix == ".eval" or path.read_bytes()[:2] == b"PK":
        raise DataError(
            f"{path}: a log in the form .eval; type `inspect log convert {path} --to json --output-dir DIR` and import "
            "what it writes."
        )
    log = read_object(path)
    _check(log, path)
    with as_declared(str(path), f"format {FORMAT} of Inspect's logs says"):
        return _run(log, part(log, "eval", dict, str(path)), path)


def _run(log: Json, spec: Json, path: Path) -> ForeignRun:
    samples = [_sample(id, epochs, log) for id, epochs in _by_id(log, path).items()]
    metrics = _metrics(log, samples)
    if not metrics:
        failed = next((sample.error for sample in samples if sample.error is not None), None)
        why = f" (the first one failed with '{failed:.200}')" if failed is not None else ""
        raise DataError(f"{path}: no sample has a score that is a number{why}, so there is nothing to import.")
    return ForeignRun(
        record=_record(log, spec, samples, path),
        metrics=metrics,
        samples=samples,
        notes=_notes(log, samples, metrics),
        usage=_usage(log, samples),
        seconds=_seconds(log),
    )


def _check(log: Json, path: Path) -> None:
    version = log.get("version")
    if not isinstance(version, int) or "eval" not in log:
        raise DataError(f"{path}: no log of Inspect, which is a JSON object with 'version' and 'eval'.")
    if version > FORMAT:
        raise DataError(
            f"{path}: format {version} of Inspect's logs is newer than this evalharness knows ({FORMAT}); upgrade it."
        )


def _by_id(log: Json, path: Path) -> dict[str, list[Json]]:
    """The epochs of every sample, in their order."""
    listed = log.get("samples")
    if not isinstance(listed, list) or not listed:
        error = log.get("error")
        why = f" (it ended with '{error.get('message')}')" if isinstance(error, dict) else ""
        raise DataError(f"{path}: the log holds no sample{why}; a log without samples has nothing to import.")
    found: dict[str, list[Json]] = {}
    for sample in listed:
        if not isinstance(sample, dict) or "id" not in sample:
            raise DataError(f"{path}: a sample has no 'id'; the log is damaged.")
        found.setdefault(str(sample["id"]), []).append(sample)
    return {id: sorted(epochs, key=lambda sample: sample.get("epoch", 1)) for id, epochs in found.items()}


# --------------------------------------------------------------------------- samples


def _sample(id: str, epochs: Sequence[Json], log: Json) -> ForeignSample:
    first = epochs[0]
    done = [sample for sample in epochs if not sample.get("error")]
    scoreds = [_scored(sample) for sample in done]
    choices = tuple(str(choice) for choice in first.get("choices") or ())
    content = canonical_json(spelled([first.get("input"), first.get("choices"), first.get("target")]))
    flags = {
        "truncated": any(choice.get("stop_reason") in ("max_tokens", "model_length") for choice in _said(done)),
        "empty": bool(done) and any(not _text(choice.get("message") or {}, {}).strip() for choice in _said(done)),
        "errored": not done,
    }
    index = log["eval"].get("dataset", {}).get("sample_ids") or []
    places = [str(each) for each in index]
    return ForeignSample(
        sample=Sample(id=id, index=places.index(id) if id in places else 0, row={}, content_hash=sha256_text(content)),
        reference=Reference(target=_target(first.get("target"), choices), choices=choices),
        attempts=[_attempt(sample, log) for sample in done],
        scoreds=scoreds,
        scores=_reduced(id, scoreds, log),
        flags=[flag for flag, up in flags.items() if up],
        error=None if done else str((first.get("error") or {}).get("message") or "the sample failed"),
    )


def _said(samples: Sequence[Json]) -> list[Json]:
    """Every choice that a model gave."""
    outputs = [sample.get("output") or {} for sample in samples]
    return [choice for output in outputs for choice in output.get("choices") or () if isinstance(choice, dict)]


def _attempt(sample: Json, log: Json) -> Attempt:
    """The last turn: everything that was put before it, and what the model said."""
    choices = _said([sample])
    if not choices:
        return Attempt(calls=())
    attachments = sample.get("attachments") or {}
    messages = [each for each in sample.get("messages") or [] if isinstance(each, dict)]
    while messages and messages[-1].get("role") != "assistant":
        messages.pop()
    before = messages[:-1] if messages else []
    completions = tuple(_completion(choice, attachments) for choice in choices)
    call = Call(
        prompt=Prompt(messages=(), text=_conversation(before or sample.get("input") or "", attachments)),
        sampling=_sampling(log),
        completions=completions,
    )
    return Attempt(calls=(call,), candidates=tuple(completion.text for completion in completions))


def _completion(choice: Json, attachments: Json) -> Completion:
    message = choice.get("message") or {}
    logged = (choice.get("logprobs") or {}).get("content") or ()
    return Completion(
        text=_text(message, attachments),
        finish_reason=_REASONS.get(str(choice.get("stop_reason")), "unknown"),
        log_probabilities=tuple(float(token["logprob"]) for token in logged) if logged else None,
        reasoning=_reasoning(message, attachments),
        tool_calls=tuple(
            {"name": call.get("function"), "arguments": call.get("arguments")}
            for call in message.get("tool_calls") or ()
        ),
    )


def _conversation(messages: Any, attachments: Json) -> str:
    """One user's message as its text; several messages each under its role."""
    if isinstance(messages, str):
        return _attached(messages, attachments)
    if len(messages) == 1:
        return _text(messages[0], attachments)
    return "\n\n".join(f"[{each.get('role', 'user')}]\n{_text(each, attachments)}" for each in messages)


def _text(message: Json, attachments: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return _attached(content, attachments)
    texts = (part.get("text") or "" for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(_attached(text, attachments) for text in texts)


def _reasoning(message: Json, attachments: Json) -> str | None:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    logged = [part for part in parts if isinstance(part, dict) and part.get("type") == "reasoning"]
    thoughts = [part.get("reasoning") or "" for part in logged]
    return "\n".join(_attached(thought, attachments) for thought in thoughts) if thoughts else None


def _attached(text: str, attachments: Json) -> str:
    """Long texts are kept once for the whole sample, as ``attachment://<hash>``."""
    key = text.removeprefix("attachment://")
    return str(attachments.get(key, text)) if key != text else text


def _sampling(log: Json) -> Sampling | None:
    """How the texts were drawn; None where the log does not say how long they might be."""
    config = {**((log.get("plan") or {}).get("config") or {}), **_spec_config(log)}
    if not isinstance(config.get("max_tokens"), int):
        return None
    temperature = config.get("temperature")
    return Sampling(
        max_tokens=config["max_tokens"],
        temperature=1.0 if temperature is None else float(temperature),
        top_p=float(config.get("top_p") or 1.0),
        top_k=int(config.get("top_k") or 0),
        stop=tuple(config.get("stop_seqs") or ()),
        seed=int(config.get("seed") or 0),
    )


def _spec_config(log: Json) -> dict[str, Any]:
    given = log["eval"].get("model_generate_config") or {}
    return {key: value for key, value in given.items() if value is not None}


def _target(target: Any, choices: Sequence[str]) -> str | int | tuple[str, ...] | tuple[int, ...] | None:
    """The right text or texts; where there are choices, their positions: Inspect names them by letter."""
    texts = [str(each) for each in target] if isinstance(target, list) else [str(target)] if target is not None else []
    positions = [ord(text) - ord("A") if len(text) == 1 else -1 for text in texts]
    if choices and texts and all(0 <= place < len(choices) for place in positions):
        return positions[0] if len(positions) == 1 else tuple(positions)
    return texts[0] if len(texts) == 1 else tuple(texts) or None


# --------------------------------------------------------------------------- scores


def _scored(sample: Json) -> ForeignScored:
    logged = {str(name): score for name, score in (sample.get("scores") or {}).items() if isinstance(score, dict)}
    scores = {name: Score(value) for scorer, score in logged.items() for name, value in _values(scorer, score).items()}
    said = [score.get("answer") for score in logged.values()]
    answer = next((str(each) for each in said if each is not None), None)
    return ForeignScored(answer=Parsed(answer) if answer is not None else None, scores=scores)


def _values(scorer: str, score: Json) -> dict[str, float]:
    """A score's numbers: one, or one a key under ``scorer/key``."""
    value = score.get("value")
    named = {f"{scorer}/{key}": each for key, each in value.items()} if isinstance(value, dict) else {scorer: value}
    numbers = {name: number_of(each) for name, each in named.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def number_of(value: Any) -> float | None:
    """A value as Inspect's `value_to_float` reads it; None for what is no number, or was not scored (not a number)."""
    if isinstance(value, str):
        if value in _LETTERS:
            return _LETTERS[value]
        try:
            value = _WORDS[value.lower()] if value.lower() in _WORDS else float(value)
        except ValueError:
            return None
    if not isinstance(value, bool | int | float) or math.isnan(value):
        return None
    return float(value)


def _reduced(id: str, scoreds: Sequence[ForeignScored], log: Json) -> dict[str, Score]:
    """The epochs as one: by Inspect's own reduction where the log has it, else by their mean."""
    names = dict.fromkeys(name for scored in scoreds for name in scored.scores)
    values = {name: [scored.scores[name].value for scored in scoreds if name in scored.scores] for name in names}
    found = {name: math.fsum(numbers) / len(numbers) for name, numbers in values.items()}
    if len(scoreds) > 1:
        found |= {name: value for name, value in _reductions(id, log).items() if name in found}
    return {name: Score(value) for name, value in found.items()}


def _reductions(id: str, log: Json) -> dict[str, float]:
    found: dict[str, float] = {}
    for reduction in log.get("reductions") or ():
        for score in reduction.get("samples") or ():
            if str(score.get("sample_id")) == id:
                for name, value in _values(str(reduction.get("scorer")), score).items():
                    found.setdefault(name, value)  # of several reducers the first
    return found


def _metrics(log: Json, samples: Sequence[ForeignSample]) -> dict[str, MetricFacts]:
    """By name; first the one that the log calls its headline."""
    named = dict.fromkeys(name for sample in samples for name in sample.scores)
    headline = (log.get("results") or {}).get("headline") or {}
    first = f"{headline.get('scorer')}/{headline.get('score')}"
    return {name: MetricFacts() for name in sorted(named, key=lambda name: name not in (first, headline.get("scorer")))}


# --------------------------------------------------------------------------- the record


def _record(log: Json, spec: Json, samples: Sequence[ForeignSample], path: Path) -> RunRecord:
    task = str(spec.get("task") or path.stem)
    dataset, config = spec.get("dataset") or {}, spec.get("config") or {}
    model = _model(spec)
    hashes = {"protocol": f"{PROTOCOL}:{_protocol_hash(log, spec)}", "demonstrations": "none"}
    hashes["content"] = sha256_text(canonical_json([[each.sample.id, each.sample.content_hash] for each in samples]))
    settings = without_secrets({
        "task": {"name": task, "version": 1, "protocol": PROTOCOL},
        "hashes": dict(hashes),
        "model": {key: model[key] for key in ("kind", "fingerprint", "tokenizer", "numerics", "max_length")},
        "inspect": {"run_id": spec.get("run_id"), "limit": config.get("limit")},
    })  # fmt: skip
    stats = log.get("stats") or {}
    reducers = config.get("epochs_reducer") or ["mean"]
    return RunRecord(
        id="",
        state=_STATES.get(str(log.get("status")), "interrupted"),
        created=_moment(spec.get("created") or stats.get("started_at")),
        finished=_moment(stats["completed_at"]) if stats.get("completed_at") else None,
        task=task,
        protocol=PROTOCOL,
        definition=spelled({
            "name": task, "version": 1, "reducer": reducers[0], "inspect": {"plan": log.get("plan"), **_asked(spec)}
        }),
        task_source=f"inspect: {path}",
        model=model,
        model_spec=str(spec.get("model")),
        options={"task": [task]},
        settings=settings,
        hashes={**hashes, "settings": sha256_text(canonical_json(settings))},
        samples=len(samples),
        of=dataset.get("samples"),
        data=[{
            "kind": "inspect", "location": str(dataset.get("location") or dataset.get("name") or task), "split": None,
            "config": None, "n": len(samples), "of": dataset.get("samples"),
        }],
        environment={
            "versions": dict(spec.get("packages") or {}),
            "imported_by": f"evalharness {__version__}",
            "inspect": without_secrets({
                "task_version": spec.get("task_version"), "task_file": spec.get("task_file"), "config": dict(config),
                "revision": spec.get("revision"), "results": spelled(log.get("results")), "run_id": spec.get("run_id"),
            }),
        },
    )  # fmt: skip


def _model(spec: Json) -> dict[str, Any]:
    identity = without_secrets([spec.get("model"), spec.get("model_base_url"), dict(spec.get("model_args") or {})])
    name = str(spec.get("model") or "unknown")
    return {
        "name": name,
        "kind": f"inspect:{name.partition('/')[0]}",
        "fingerprint": sha256_text(canonical_json(spelled(identity))),
        "numerics": "backend",
        "max_length": None,
        "tokenizer": None,
        "details": {},
    }


def _asked(spec: Json) -> dict[str, Any]:
    """What decides how a sample is asked and judged, beside the plan."""
    config = spec.get("config") or {}
    keys = "task_version task_args solver solver_args model_generate_config scorers metrics sandbox"
    return {key: spec.get(key) for key in keys.split()} | {key: config.get(key) for key in ("epochs", "epochs_reducer")}


def _protocol_hash(log: Json, spec: Json) -> str:
    plan = log.get("plan") or {}
    steps = [[step.get("solver"), step.get("params")] for step in plan.get("steps") or ()]
    scorers = [[each.get("scorer"), each.get("params")] for each in (log.get("results") or {}).get("scores") or ()]
    return sha256_text(canonical_json(spelled([spec.get("task"), _asked(spec), steps, plan.get("config"), scorers])))


def _notes(log: Json, samples: Sequence[ForeignSample], metrics: Mapping[str, MetricFacts]) -> list[str]:
    """Where the log's own aggregates are not what its samples come to, and what a reader must know of the samples."""
    notes = []
    logged: dict[str | None, Json] = {}
    for score in (log.get("results") or {}).get("scores") or ():
        logged.setdefault(_our_name(score, metrics), score)  # of several reducers the first
    for name, score in logged.items():
        reported = [metric.get("value") for key, metric in (score.get("metrics") or {}).items() if key in _MEANS]
        if name is None or not reported or not isinstance(reported[0], int | float):
            continue
        values = [sample.scores[name].value for sample in samples if name in sample.scores]
        value = math.fsum(values) / len(values)
        if not math.isclose(value, reported[0], rel_tol=1e-6, abs_tol=1e-9):
            notes.append(f"{name}: its samples come to {value:.6g}, where Inspect reports {reported[0]:.6g}")
    invalid = sum(bool(sample.get("invalidation")) for sample in log["samples"])
    if invalid:
        notes.append(f"{invalid} of the log's samples were marked invalid and are counted all the same")
    return notes


def _our_name(score: Json, metrics: Mapping[str, MetricFacts]) -> str | None:
    name, scorer = str(score.get("name")), str(score.get("scorer"))
    return next((each for each in (name, f"{scorer}/{name}") if each in metrics), None)


def _usage(log: Json, samples: Sequence[ForeignSample]) -> dict[str, int]:
    used = [each for each in ((log.get("stats") or {}).get("model_usage") or {}).values() if isinstance(each, dict)]
    return {
        "requests": sum(len(attempt.calls) for sample in samples for attempt in sample.attempts),
        "prompt_tokens": sum(int(each.get("input_tokens") or 0) for each in used),
        "generated_tokens": sum(int(each.get("output_tokens") or 0) for each in used),
    }


def _moment(said: Any) -> str:
    """ISO 8601.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(str(said)).isoformat(timespec="seconds")


def _seconds(log: Json) -> float:
    stats = log.get("stats") or {}
    try:
        began, ended = (datetime.fromisoformat(str(stats[key])) for key in ("started_at", "completed_at"))
    except (KeyError, ValueError):
        return 0.0
    return max((ended - began).total_seconds(), 0.0)
