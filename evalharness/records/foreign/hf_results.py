"""Runs as entries of ``.eval_results/*.yaml``, which the Hugging Face hub shows on a model's page.

The form is that of https://huggingface.co/docs/hub/eval-results, as `huggingface_hub.EvalResultEntry` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, DiskError, UsageError, nearest
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, RunRecord, protocol_of

SHOWN = 12
"""Digits of the protocol's hash in a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOptions:
    """What a run does not know of the entry that is made of it."""

    metric: str | None = None
    """In place of the first one."""
    task_id: str | None = None
    """Of the task in the benchmark's `eval.yaml`; the configuration of the data, unless given."""
    source_url: str | None = None
    """Where what was run can be looked at."""
    source_name: str | None = None


def write_eval_results(runs: Sequence[Run], path: Path, options: EntryOptions) -> None:
    """Write one entry a run.

    Raises:
        UsageError: a wrong ending, a run without the metric, or a name of a source without its address.
        DataError: a run was never summarised, has no score, or is not of a data set of the hub.
        DiskError: the disk refuses.
    """
    import yaml

    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--hf {path}: the ending must be .yaml, as in .eval_results/ of a model's repository.")
    if options.source_name is not None and options.source_url is None:
        raise UsageError("--source-name needs --source-url: a source is an address first.")
    text = yaml.safe_dump([entry(run, options) for run in runs], sort_keys=False, allow_unicode=True, width=120)
    draft = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror or error}.") from None


def entry(run: Run, options: EntryOptions) -> dict[str, Any]:
    """The entry of one run: its data set, its value, when and how it was measured."""
    record, results = run.record, run.results
    if results is None:
        raise DataError(f"{run.path}: the run has not ended, so it has no results.json; run it again to finish it.")
    name = options.metric or next(iter(results.scores))
    if name not in results.scores:
        raise UsageError(f"--metric {name}: {run.path} has no such metric; {nearest(name, results.scores)}")
    value = results.scores[name].value
    if value is None:
        raise DataError(f"{run.path}: no sample was scored by {name}, so there is no value to write.")
    found: dict[str, Any] = {
        "dataset": _dataset(run, record, options),
        "value": value,
        "date": record.finished or record.created,
    }
    if options.source_url is not None:
        named = {"name": options.source_name} if options.source_name else {}
        found["source"] = {"url": options.source_url, **named}
    return {**found, "notes": _notes(record, results, name)}


def _dataset(run: Run, record: RunRecord, options: EntryOptions) -> dict[str, Any]:
    """The data set, as the task's definition or, of an imported run, its source names it on the hub."""
    section = record.definition.get("data", {})
    source = record.data[0] if record.data else {}
    if source.get("kind") == "demo":
        raise DataError(f"{run.path}: a bundled sample, not the benchmark, which has no place on a model's page.")
    imported = source if source.get("kind") in ("lm-eval", "inspect") else {}
    id = section.get("hub") or imported.get("location")
    if not isinstance(id, str) or id.count("/") != 1 or id.startswith(("/", ".")):
        raise DataError(f"{run.path}: its data are no data set of the hub, and an entry belongs to one.")
    _, _, subset = record.task.partition("/")
    task_id = options.task_id or section.get("config") or imported.get("config") or subset or "default"
    revision = section.get("revision")
    return {"id": id, "task_id": task_id, **({"revision": revision} if revision else {})}


def _notes(record: RunRecord, results: ResultsRecord, name: str) -> str:
    """How it was measured, in one line: the hub asks for details of the setup."""
    score = results.scores[name]
    of = "an unknown number" if results.of is None else str(results.of)
    told = [
        name,
        f"{score.n} of {of} samples",
        f"protocol {protocol_of(record)} {record.hashes.get('protocol', '')[:SHOWN]}",
    ]
    if score.low is not None and score.high is not None:
        told.insert(1, f"95 % interval {score.low:.4f} to {score.high:.4f}")
    versions = record.environment.get("versions", {})
    by = record.environment.get("imported_by") or f"evalharness {versions.get('evalharness', '')}".strip()
    return ", ".join([*told, by])
