"""A leaderboard over models that nobody trained: runs with chosen scores, and a definition of two columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from runs_for_tests import write_run

QUALITIES = {"model-a": -0.4, "model-b": 0.4, "model-c": 0.45}
"""model-a is far behind, the other two are close."""


def answers(quality: float, seed: int, n: int = 200) -> list[float]:
    """Zeros and ones of a model; equal difficulties for every model of a seed."""
    difficulty = np.random.default_rng(seed).normal(size=n)
    own = np.random.default_rng([seed, int(1000 * (quality + 5))]).normal(0, 0.7, n)
    return [float(value) for value in difficulty + quality + own > 0]


def make_runs(folder: Path, qualities: dict[str, float] = QUALITIES, **changes: Any) -> None:
    """A run of each model in the tasks easy and hard."""
    for number, (model, quality) in enumerate(qualities.items()):
        for seed, (task, shift) in enumerate((("easy", 0.3), ("hard", -0.2))):
            write_run(folder / f"{task}-{number}", answers(quality + shift, seed), task=task, model=model, **changes)


def definition(models: Sequence[str | dict[str, Any]] = tuple(QUALITIES), **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "leaderboard": "made-up",
        "title": "Made up",
        "columns": [
            {"name": "Easy", "task": "easy", "metric": "acc", "chance": 0.25},
            {"name": "Hard", "task": "hard", "metric": "acc", "chance": 0.25},
        ],
        "models": [{"name": model} if isinstance(model, str) else model for model in models],
    }
    return {**values, **changes}


def write_definition(folder: Path, values: dict[str, Any] | None = None) -> Path:
    path = folder / "made-up.yaml"
    path.write_text(yaml.safe_dump(definition() if values is None else values, sort_keys=False), encoding="utf-8")
    return path


def column(**changes: Any) -> dict[str, Any]:
    return {"name": "Easy", "task": "easy", "metric": "acc", "chance": 0.25, **changes}
