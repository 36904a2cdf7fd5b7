"""Journals that tests make: every kind of line, with texts of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runs_for_tests import write_run

from evalharness.records.folder import Run
from evalharness.records.strict_json import one_line


def line(
    id: str,
    score: float | None = 1.0,
    *,
    prompt: str = "What is next?",
    said: str = "So it is 7.",
    answer: str | None = "7",
    span: Sequence[int] | None = None,
    subset: str | None = None,
    flags: Sequence[str] = (),
    target: str = "7",
    more_scores: Mapping[str, float] | None = None,
    place: int = 0,
) -> dict[str, Any]:
    """A sample of one call; a score of None is one that failed."""
    made: dict[str, Any] = {"task": "made_up", "id": id, "index": place}
    if subset is not None:
        made["subset"] = subset
    scores = {} if score is None else {"acc": score, **(more_scores or {})}
    made |= {"content_hash": "c" * 64, "target": target, "completions": [] if score is None else [said]}
    made |= {"log_likelihoods": [], "greedy": [], "answer": None if score is None else answer, "scores": scores}
    made["flags"] = ["errored"] if score is None else list(flags)
    if score is None:
        made["error"] = "the server did not answer"
        return {**made, "repeats": []}
    sampling = {"max_tokens": 8, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "stop": [], "seed": 0}
    completion = {"text": said, "finish_reason": "stop", "tokens": 4}
    call = {"prompt": prompt, "tokens": 5, "sampling": sampling, "completions": [completion]}
    repeat: dict[str, Any] = {"answer": answer, "scores": scores, "calls": [call]}
    if span is not None:
        repeat["span"] = list(span)
    return {**made, "repeats": [repeat]}


def run_of(folder: Path, lines: Iterable[Mapping[str, Any]], **options: Any) -> Run:
    """A run whose journal holds these lines."""
    made = list(lines)
    scores = [each["scores"].get("acc") for each in made] or [0.0]
    run = write_run(folder, scores, ids=[str(place) for place in range(len(scores))], **options)
    run.journal.write_bytes(b"".join(one_line(each) for each in made))
    return run


def foreign(value: Mapping[str, Any]) -> bytes:
    """The line as another tool writes it: other order of keys, spaces, ASCII only."""
    return json.dumps(dict(reversed(value.items()))).encode() + b"\n"
