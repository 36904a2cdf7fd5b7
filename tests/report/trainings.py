"""Folders of trainings that never were: logs and evaluations of numbers that a test chose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_training(
    folder: Path,
    log: Iterable[Mapping[str, Any]],
    evaluations: Iterable[Mapping[str, Any]] = (),
    options: Mapping[str, Any] | None = None,
) -> Path:
    """A folder as `evalharness pretrain` writes it, but for the checkpoints."""
    folder.mkdir(parents=True)
    for name, rows in (("log.jsonl", log), ("evaluations.jsonl", evaluations)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {"options": {"steps": 500, **(options or {})}, "model": {"width": 64}, "machine": {"threads": 2}}
    (folder / "run.json").write_text(json.dumps(asked))
    return folder


def logged(step: int, loss: float, **more: Any) -> dict[str, Any]:
    """A line of the log of batches of 4,096 tokens."""
    return {
        "step": step,
        "loss": loss,
        "rate_factor": min(1.0, step / 100),
        "gradient_norm": 1.0 + 1.0 / step,
        "tokens": 4096 * step,
        "sequences": 16 * step,
        "seconds": 0.5 * step,
        "tokens_per_second": 8192.0,
        "peak_share": None,
        **more,
    }


def falling(first: int, last: int, every: int = 5, floor: float = 1.0) -> list[dict[str, Any]]:
    """A loss that falls and wobbles a little; validation every hundred steps."""
    rows: list[dict[str, Any]] = []
    for step in range(first, last + 1, every):
        rows.append(logged(step, floor + 4.0 * math.exp(-step / 120) + 0.1 * math.sin(step)))
        if step % 100 == 0:
            rows.append({"step": step, "validation_loss": floor + 4.0 * math.exp(-step / 120) + 0.05})
    return rows


def evaluated(step: int, task: str = "coin_flip", value: float = 0.5, **more: Any) -> dict[str, Any]:
    """A line of evaluations.jsonl with 100 samples; guessing scores one half."""
    score = {"value": value, "low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1), "n": 100, "chance": 0.5}
    return {"step": step, "tasks": {task: {"metrics": {"exact_match": score}}}, "seconds": 1.5, "stop": None, **more}


def spiked(folder: Path) -> Path:
    """A training that met a poisoned batch at step 250, went back to step 200, and was stopped by its gate at 500."""
    log = falling(5, 250)
    log[-1]["loss"] = 9.0
    log += [
        {"step": 251, "event": "spike", "since": 249, "reason": "the loss is 9"},
        {"step": 200, "event": "rewind", "from": 251, "left_out_sequences": 16},
        *falling(205, 500),
    ]
    rows = [evaluated(step, value=0.5 + step / 2000) for step in range(100, 500, 100)]
    sentence = "The gate at step 500: coin_flip: exact_match is 0.1, at most 0.2, below the floor of 0.4."
    return write_training(
        folder, log, [*rows, evaluated(500, value=0.1, stop=sentence)], {"optimizer": [{"rate": 0.01}]}
    )
