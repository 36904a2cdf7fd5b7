"""Runs of ours as lm-eval writes its own: a results file that its table code reads, and a file of samples a task."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, DiskError, UsageError
from evalharness.hashing import sha256_text
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord

NOTHING_FOUND = "[invalid]"
"""What lm-eval has where a filter found no answer."""
_BY_DOCUMENT = {"word_perplexity": "words", "byte_perplexity": "bytes", "bits_per_byte": "bytes"}
"""Metrics that lm-eval logs as a log-likelihood beside the length that divides it."""


def write_lm_eval(runs: Sequence[Run], place: Path) -> list[Path]:
    """Write runs of one model as one results file with its samples.

    Args:
        place: a folder, in which lm-eval's own layout is made, ``<model>/results_<time>.json``; or a file ``.json``.

    Returns:
        The files, the results first.

    Raises:
        UsageError: the runs are of several models, or two of them are of one task.
        DataError: a run was never summarised.
        DiskError: the disk refuses.
    """
    told = [_summary(run) for run in runs]
    models = {record.model["name"]: record for record, _ in told}
    if len(models) > 1:
        raise UsageError(f"--lm-eval: one results file is of one model, and these are {', '.join(models)}.")
    names = [lm_eval_name(record) for record, _ in told]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--lm-eval: two of the runs are of {name}; a results file has one of each task.")
    time = _time(told[0][0])
    if place.suffix == ".json":
        results = place
    else:
        results = place / _sanitized(str(told[0][0].model["name"])) / f"results_{time}.json"
    written = [results]
    hashes: dict[str, str] = {}
    try:
        results.parent.mkdir(parents=True, exist_ok=True)
        for run, name in zip(runs, names, strict=True):
            path = results.with_name(f"samples_{_sanitized(name)}_{results.stem.rpartition('_')[2]}.jsonl")
            hashes[name] = _write_samples(run, path)
            written.append(path)
        draft = results.with_name(f"{results.name}.part")
        draft.write_text(_json(_results_file(told, names, hashes), indent=2) + "\n", encoding="utf-8")
        os.replace(draft, results)
    except OSError as error:
        raise DiskError(f"{error.filename or place}: cannot be written: {error.strerror or error}.") from None
    return written


def _summary(run: Run) -> tuple[RunRecord, ResultsRecord]:
    results = run.results
    if results is None:
        raise DataError(f"{run.path}: the run has not ended, so it has no results.json; run it again to finish it.")
    return run.record, results


def lm_eval_name(record: RunRecord) -> str:
    """A task's name there: what it was imported under, else ours, ``mmlu/astronomy`` as ``mmlu_astronomy``."""
    return str(_imported(record).get("task") or record.task.replace("/", "_"))


def _imported(record: RunRecord) -> Mapping[str, Any]:
    """What lm-eval said of itself, of a run that was imported from it."""
    found = record.environment.get("lm_eval")
    return found if isinstance(found, dict) else {}


def _time(record: RunRecord) -> str:
    """ISO 8601 with ``-`` in place of ``:``, to the microsecond, as lm-eval names its files."""
    ended = datetime.fromisoformat(record.finished or record.created).replace(tzinfo=None)
    return ended.isoformat(timespec="microseconds").replace(":", "-")


def _sanitized(name: str) -> str:
    """As a part of a path: lm-eval's rule, and without lone surrogates."""
    return re.sub(r'["<>:/|\\?*\[\]\ud800-\udfff]+', "__", name)


# --------------------------------------------------------------------------- the results file


def _results_file(
    told: Sequence[tuple[RunRecord, ResultsRecord]], names: Sequence[str], hashes: Mapping[str, str]
) -> dict[str, Any]:
    records = dict(zip(names, told, strict=True))
    first = told[0][0]
    model = str(_imported(first).get("model_name") or first.model["name"])
    began = datetime.fromisoformat(first.created).timestamp()
    return {
        "results": {name: _entry(name, *records[name]) for name in names},
        "group_subtasks": {},
        "configs": {name: _config(record, name) for name, (record, _) in records.items()},
        "versions": {name: _version(record) for name, (record, _) in records.items()},
        "n-shot": {name: _shots(record) for name, (record, _) in records.items()},
        "higher_is_better": {name: _directions(*records[name]) for name in names},
        "n-samples": {
            name: {"original": results.of if results.of is not None else results.samples, "effective": results.samples}
            for name, (_, results) in records.items()
        },
        "config": _imported(first).get("config") or {"model": first.model.get("kind"), "model_args": first.model_spec},
        "date": began,
        "lm_eval_version": first.environment.get("versions", {}).get("lm_eval"),
        "evalharness_version": first.environment.get("versions", {}).get("evalharness"),
        "task_hashes": dict(hashes),
        "model_source": _imported(first).get("model_source") or first.model.get("kind"),
        "model_name": model,
        "model_name_sanitized": _sanitized(model),
        "total_evaluation_time_seconds": str(sum(results.seconds for _, results in told)),
    }


def _entry(name: str, record: RunRecord, results: ResultsRecord) -> dict[str, Any]:
    """Aggregates under lm-eval's keys. Of an imported run its own standard errors, which may be bootstrapped, and the
    aggregates that are no mean of samples, are those that lm-eval reported."""
    imported = _imported(record)
    reported = imported.get("results") or {}
    entry: dict[str, Any] = {"name": name, "alias": imported.get("alias") or name, "sample_len": results.samples}
    entry |= {key: value for key, value in reported.items() if key not in entry}
    for label, score in results.scores.items():
        metric, chain = _split(label, reported)
        entry[f"{metric},{chain}"] = score.value
        entry[f"{metric}_stderr,{chain}"] = reported.get(f"{metric}_stderr,{chain}", _standard_error(score))
    return entry


def _standard_error(score: ScoreRecord) -> float | str:
    return "N/A" if score.standard_error is None else score.standard_error


def _split(label: str, reported: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Metric and chain of filters. A label without a chain is that of an imported run's only one, else ``none``."""
    metric, comma, chain = label.partition(",")
    if comma:
        return metric, chain
    known = [key.partition(",")[2] for key in reported or {} if key.partition(",")[0] == metric]
    return metric, known[0] if len(known) == 1 else "none"


def _config(record: RunRecord, name: str) -> dict[str, Any]:
    own = record.definition.get("lm_eval")
    return dict(own) if isinstance(own, dict) else {"task": name, "evalharness": record.definition}


def _version(record: RunRecord) -> Any:
    imported = _imported(record)
    return imported["version"] if "version" in imported else record.definition.get("version", 1)


def _shots(record: RunRecord) -> Any:
    imported = _imported(record).get("n_shot")
    return imported if imported is not None else record.definition.get("demonstrations", {}).get("shots", 0)


def _directions(record: RunRecord, results: ResultsRecord) -> dict[str, bool]:
    own = {_split(label)[0]: score.higher_is_better for label, score in results.scores.items()}
    reported = _imported(record).get("higher_is_better")
    return own | reported if isinstance(reported, dict) else own


# --------------------------------------------------------------------------- samples


def _write_samples(run: Run, path: Path) -> str:
    """Write the samples, and return lm-eval's hash of the task: of all documents, prompts and targets."""
    parts = []
    reported = _imported(run.record).get("results") or {}
    with path.open("w", encoding="utf-8") as file:
        for line in sorted(run.lines(), key=lambda line: line["index"]):
            for sample in _samples(line, reported):
                file.write(_json(sample) + "\n")
                parts.append(sample["doc_hash"] + sample["prompt_hash"] + sample["target_hash"])
    return sha256_text("".join(parts))


def _samples(line: Mapping[str, Any], reported: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A line of lm-eval's for each chain of filters; none of a sample that failed."""
    by_chain: dict[str, dict[str, Any]] = {}
    for label in line["scores"]:
        metric, chain = _split(label, reported)
        by_chain.setdefault(chain, {})[metric] = _value(metric, label, line)
    if not line["repeats"]:
        return
    arguments = list(_arguments(line))
    target = str(_target(line))
    for number, (chain, metrics) in enumerate(by_chain.items()):
        yield {
            "doc_id": line["index"],
            "doc": {"id": line["id"]},
            "target": target,
            "arguments": {f"gen_args_{place}": each for place, each in enumerate(arguments)},
            "resps": _responses(line),
            "filtered_resps": _filtered(line, first=number == 0),
            "filter": chain,
            "metrics": list(metrics),
            "doc_hash": line["content_hash"],
            "prompt_hash": sha256_text(str(arguments[0]["arg_0"]) if arguments else ""),
            "target_hash": sha256_text(target),
            **metrics,
        }


def _value(metric: str, label: str, line: Mapping[str, Any]) -> Any:
    """A score as lm-eval logs it: perplexities as what they are made of."""
    if metric in _BY_DOCUMENT and (unit := line.get("units", {}).get(_BY_DOCUMENT[metric])) is not None:
        return [sum(line["log_likelihoods"]), unit]
    if metric == "perplexity" and len(line["log_likelihoods"]) == 1:
        return line["log_likelihoods"][0]
    return line["scores"][label]


def _target(line: Mapping[str, Any]) -> Any:
    target = line["target"]
    if line.get("units") and target is None:
        return next(text for call in line["repeats"][0]["calls"] for text in call["continuations"])
    return target


def _arguments(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What each request asked, of the first repeat."""
    for call in line["repeats"][0]["calls"]:
        if "completions" in call:
            yield {"arg_0": call["prompt"], "arg_1": _generation(call.get("sampling") or {})}
        for text in call.get("continuations", ()):
            yield {"arg_0": text} if line.get("units") else {"arg_0": call["prompt"], "arg_1": text}


def _generation(sampling: Mapping[str, Any]) -> dict[str, Any]:
    temperature = sampling.get("temperature", 0.0)
    found = {"until": sampling.get("stop", []), "do_sample": temperature > 0, "temperature": temperature}
    return found | ({"max_gen_toks": sampling["max_tokens"]} if "max_tokens" in sampling else {})


def _responses(line: Mapping[str, Any]) -> list[list[Any]]:
    """By request and repeat: texts, or sums of log-likelihoods with whether the text is the likeliest."""
    by_repeat = [[said for call in repeat["calls"] for said in _said(call)] for repeat in line["repeats"]]
    return [[said for each in request for said in each] for request in zip(*by_repeat, strict=False)]


def _said(call: Mapping[str, Any]) -> Iterator[list[Any]]:
    if "completions" in call:
        yield [completion["text"] for completion in call["completions"]]
    for values, greedy in zip(call.get("log_likelihoods", ()), call.get("greedy", ()), strict=True):
        total = str(float(sum(values)))
        yield [[total, str(all(greedy))] if greedy else total]


def _filtered(line: Mapping[str, Any], *, first: bool) -> list[Any]:
    """What the filters left: the likelihoods, or the answer that was read. Journals keep that of the first chain."""
    if line["log_likelihoods"]:
        return [answers[0] for answers in _responses(line)]
    if not first:
        return [None]
    return [line["answer"] if line["answer"] is not None else NOTHING_FOUND]


def _json(value: Any, indent: int | None = None) -> str:
    """As lm-eval writes it, numbers that are not finite included; a lone surrogate as its escape."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text
