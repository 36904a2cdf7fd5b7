"""Run folders that no model made: scores that a test chose, with records around them that every reader takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.hashing import sha256_text
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord, score_record
from evalharness.records.strict_json import one_line


def write_run(
    folder: Path,
    scores: Sequence[float | None] | Mapping[str, Sequence[float | None]],
    *,
    task: str = "made_up",
    model: str = "model-a",
    protocol: str = "0" * 64,
    version: int = 1,
    ids: Sequence[str] | None = None,
    contents: Sequence[str] | None = None,
    subsets: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    clusters: Sequence[str] | None = None,
    weights: Mapping[str, Sequence[float]] | None = None,
    higher_is_better: bool = True,
    aggregate: str = "mean",
    asked: int | None = None,
    state: str = "finished",
    details: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    created: str = "2026-11-01T12:00:00+00:00",
) -> Run:
    """A run of one task. A score of None is a sample that failed; `scores` without names are those of ``acc``."""
    columns = dict(scores) if isinstance(scores, Mapping) else {"acc": scores}
    n = len(next(iter(columns.values())))
    ids = ids or [str(place) for place in range(n)]
    folder.mkdir(parents=True, exist_ok=True)
    lines = [_line(place, task, ids, contents, subsets, clusters, columns, weights or {}) for place in range(n)]
    (folder / "samples.jsonl").write_bytes(b"".join(one_line(line) for line in lines))
    record = RunRecord(
        id=folder.name,
        state=state,  # type: ignore[arg-type]
        created=created,
        finished=created,
        task=task,
        protocol="default",
        definition={
            "name": task,
            "ability": "reasoning/made_up",
            "version": version,
            "data": {"subsets": {group: list(members) for group, members in (groups or {}).items()}},
        },
        task_source=f"tasks/{task}.yaml",
        model={
            "name": model,
            "kind": "stack",
            "fingerprint": sha256_text(model),
            "numerics": "exact scores, fast texts",
            "details": {"dtype": "float32", **(details or {})},
        },
        model_spec=model,
        options={"task": [task], **(options or {})},
        settings={"task": {"name": task, "version": version}},
        hashes={"protocol": protocol, "demonstrations": "1" * 64, "content": "2" * 64, "settings": "3" * 64},
        samples=n if asked is None else asked,
        of=n,
        data=[{"kind": "file", "location": "rows.jsonl", "split": "test", "n": n, "of": n}],
        environment={"versions": {"torch": "2.13.0"}, "cpu": "one"},
    )
    run = Run(folder)
    run.write(record)
    run.write(
        ResultsRecord(
            run=record.id,
            scores={
                name: _score(values, (weights or {}).get(name), clusters, higher_is_better, aggregate)
                for name, values in columns.items()
            },
            samples=n,
            of=n,
            counts={"unparsed": 0, "truncated": 0, "empty": 0, "errored": 0, "cut": 0},
            usage={"requests": n, "prompt_tokens": 10 * n, "distinct_tokens": 5 * n, "generated_tokens": n},
            seconds=1.5,
        )
    )
    return run


def _line(
    place: int,
    task: str,
    ids: Sequence[str],
    contents: Sequence[str] | None,
    subsets: Sequence[str] | None,
    clusters: Sequence[str] | None,
    columns: Mapping[str, Sequence[float | None]],
    weights: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    failed = all(values[place] is None for values in columns.values())
    content = contents[place] if contents else sha256_text(f"{task} {ids[place]}")
    scores = {name: values[place] for name, values in columns.items() if values[place] is not None}
    line: dict[str, Any] = {"task": task, "id": ids[place], "index": place}
    if subsets:
        line["subset"] = subsets[place]
    line["content_hash"] = content
    if clusters:
        line["cluster"] = clusters[place]
    line |= {"target": 0, "choices": [" no", " yes"], "completions": [], "log_likelihoods": [-1.0, -2.0]}
    line |= {"greedy": [True, False], "answer": " no", "scores": scores}
    if weights:
        line["weights"] = {name: values[place] for name, values in weights.items()}
    line["flags"] = ["errored"] if failed else []
    if failed:
        line["error"] = "the server did not answer"
    call = {
        "prompt": f"Is {place} even?\nAnswer:",
        "continuations": [" no", " yes"],
        "log_likelihoods": [[-1.0], [-2.0]],
        "greedy": [[True], [False]],
    }
    line["repeats"] = [] if failed else [{"scores": scores, "calls": [call]}]
    return line


def _score(
    values: Sequence[float | None],
    weights: Sequence[float] | None,
    clusters: Sequence[str] | None,
    higher_is_better: bool,
    aggregate: Any,
) -> ScoreRecord:
    kept = [place for place, value in enumerate(values) if value is not None]
    return score_record(
        [values[place] or 0.0 for place in kept],
        [1.0 if weights is None else weights[place] for place in kept],
        [str(place) if clusters is None else clusters[place] for place in kept],
        aggregate=aggregate,
        higher_is_better=higher_is_better,
    )


def lines_of(run: Run) -> list[dict[str, Any]]:
    """The journal, line by line."""
    return [json.loads(line) for line in run.journal.read_text().splitlines()]
