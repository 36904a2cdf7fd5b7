"""Logs in lm-eval's and Inspect's formats, written by hand: rows of our own, numbers that a test chose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.hashing import sha256_text

TIME = "2026-11-20T10-11-12.131415"


def write_lm_eval_log(
    folder: Path,
    tasks: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    configs: Mapping[str, Mapping[str, Any]] | None = None,
    results: Mapping[str, Mapping[str, Any]] | None = None,
    time: str = TIME,
    version: str | None = "0.4.13",
    more: Mapping[str, Any] | None = None,
) -> Path:
    """A folder as ``--output_path`` makes it, with the lines of samples of each task."""
    place = folder / "made__up"
    place.mkdir(parents=True, exist_ok=True)
    for name, lines in tasks.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (place / f"samples_{name}_{time}.jsonl").write_text(text)
    file = {
        "results": {name: {"name": name, "alias": name, **(results or {}).get(name, {})} for name in tasks},
        "group_subtasks": {},
        "configs": {name: {"task": name, **(configs or {}).get(name, {})} for name in tasks},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {name: {} for name in tasks},
        "n-samples": {
            name: {"original": 10, "effective": len({line["doc_id"] for line in lines if "doc_id" in line})}
            for name, lines in tasks.items()
        },
        "config": {"model": "hf", "model_args": {"pretrained": "made/up"}, "model_dtype": "torch.float32"},
        "date": 1_790_000_000.5,
        "transformers_version": "5.0.0",
        "model_source": "hf",
        "model_name": "made/up",
        "total_evaluation_time_seconds": "2.5",
        **({"lm_eval_version": version} if version else {}),
        **(more or {}),
    }
    (place / f"results_{time}.json").write_text(json.dumps(file))
    return folder


def line(
    doc_id: int, requests: Sequence[Sequence[Any]], resps: Sequence[Any], metrics: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """A line of a file of samples; `resps` has one answer for each request."""
    return {
        "doc_id": doc_id,
        "doc": {"row": doc_id},
        "target": "0",
        "arguments": {
            f"gen_args_{number}": {f"arg_{place}": part for place, part in enumerate(request)}
            for number, request in enumerate(requests)
        },
        "resps": [[answer] for answer in resps],
        "filtered_resps": list(resps),
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": sha256_text(f"row {doc_id}"),
        "prompt_hash": sha256_text(str(requests[0][0])),
        "target_hash": sha256_text("0"),
        **metrics,
        **more,
    }


def choice(doc_id: int, totals: Sequence[float], right: int, *, acc: float) -> dict[str, Any]:
    """A document of two colours and more, answered by choosing."""
    asked = [(f"Colour {doc_id} is", f" {colour}") for colour in ("red", "blue", "green")[: len(totals)]]
    said = [[str(total), str(total == max(totals))] for total in totals]
    return line(doc_id, asked, said, {"acc": acc}, target=str(right))


CHOICES = (
    choice(0, [-1.25, -2.5], 0, acc=1.0),
    choice(1, [-3.5, -0.75], 0, acc=0.0),
    choice(2, [-1.0, -1.5, -4.0], 1, acc=0.0),
)
CHOICE_TASK = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc", "aggregation": "mean"}]}


def write_inspect_log(path: Path, samples: Sequence[Mapping[str, Any]] | None, **more: Any) -> Path:
    """A log of Inspect in the form of JSON."""
    log = {
        "version": 2,
        "status": "success",
        "eval": {
            "run_id": "r1",
            "created": "2026-11-20T10:11:12+00:00",
            "task": "capitals",
            "task_version": 0,
            "task_args": {},
            "dataset": {"name": "capitals", "samples": 5, "sample_ids": ["a", "b"]},
            "model": "openai/made-up",
            "model_args": {"api_key": "sk-abcdefgh12345678"},
            "config": {"epochs": 1},
            "packages": {"inspect_ai": "0.3.100"},
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {"max_tokens": 16}},
        "results": {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 0.5}}}]},
        "stats": {
            "started_at": "2026-11-20T10:11:12+00:00",
            "completed_at": "2026-11-20T10:11:15+00:00",
            "model_usage": {"openai/made-up": {"input_tokens": 30, "output_tokens": 7}},
        },
        "samples": samples,
        **more,
    }
    path.write_text(json.dumps(log))
    return path


def answered(id: str, text: str, value: Any, *, epoch: int = 1, **more: Any) -> dict[str, Any]:
    """A sample of an Inspect log that one message answered."""
    asked = {"role": "user", "content": f"The capital of {id}?"}
    message = {"role": "assistant", "content": text}
    return {
        "id": id,
        "epoch": epoch,
        "input": f"The capital of {id}?",
        "target": "Paris",
        "messages": [asked, message],
        "output": {"model": "made-up", "choices": [{"message": message, "stop_reason": "stop"}], "completion": text},
        "scores": {"match": {"value": value, "answer": text}},
        **more,
    }
