"""Whole trainings of a model with a few thousand parameters on a corpus of a few thousand bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.training.checkpoints import COMPLETE
from evalharness.stack.training.loop import Evaluation, Event
from evalharness.stack.training.options import PretrainOptions

MEASURED = ("seconds", "tokens_per_second", "peak_share")
"""What of a line of the log is another number each time."""
NAMES = ("Ada", "Ben", "Cora", "Dov", "Ema", "Finn")
THINGS = ("apple", "boat", "coin", "drum")


def texts(count: int, seed: int = 7) -> list[str]:
    """Sentences with little in them to learn."""
    draw = random.Random(seed)
    return [
        f"{draw.choice(NAMES)} gave {draw.choice(NAMES)} {draw.randint(2, 9)} {draw.choice(THINGS)}s. Q:"
        f"{draw.choice(NAMES)}"
        for _ in range(count)
    ]


def garbage(count: int, seed: int = 9) -> list[str]:
    """Texts with nothing in them to learn."""
    draw = random.Random(seed)
    return ["".join(chr(draw.randint(0x21, 0x17E)) for _ in range(40)) for _ in range(count)]


def corpus(base: Path, **sources: list[str]) -> Path:
    """Build `corpus` in a folder, of bytes, in shards of 300 tokens; returns that folder."""
    for name, own in (sources or {"texts": texts(120)}).items():
        (base / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in own))
    values = {
        "output": "corpus",
        "sources": [{"name": name, "paths": [f"{name}.jsonl"]} for name in sources or {"texts": None}],
        "deduplication": {"exact": False},
        "shard_tokens": 300,
    }
    build(PipelineOptions.model_validate(values), base)
    return base


def values(folder: str = "run", **changes: Any) -> dict[str, Any]:
    """A training as its YAML has it; a change that is a mapping changes only its own keys."""
    told: dict[str, Any] = {
        "folder": folder,
        "model": {"layers": 2, "width": 16, "heads": 2, "ffn_width": 32},
        "data": {"corpus": "corpus", "context": 16, "validation": {"sequences": 6}},
        "steps": 20,
        "batch": {"sequences": 4, "micro": 2},
        "optimizer": [{"rate": 0.01}],
        "schedule": {"warmup": 3},
        "checkpoints": {"every": 5},
        "log_every": 1,
        "compute": {"device": "cpu", "threads": 1},
    }
    for name, value in changes.items():
        old = told.get(name)
        told[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return told


def options(folder: str = "run", **changes: Any) -> PretrainOptions:
    return PretrainOptions.model_validate(values(folder, **changes))


@dataclass
class FakeEvaluator:
    """Says the hash of the weights; `sentences` by step say why to stop."""

    every: int = 5
    sentences: Mapping[int, str] = field(default_factory=dict)
    stops: bool = True
    asked: list[int] = field(default_factory=list)

    def due(self, step: int) -> bool:
        return step > 0 and step % self.every == 0

    def __call__(self, step: int, checkpoint: Path) -> Evaluation:
        assert (checkpoint / COMPLETE).is_file()
        self.asked.append(step)
        digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
        return Evaluation({"weights": digest}, self.sentences.get(step))


def lines(path: Path) -> list[Event]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def log_of(folder: Path) -> list[Event]:
    """The log, without what is measured."""
    return [{key: value for key, value in line.items() if key not in MEASURED} for line in lines(folder / "log.jsonl")]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in lines(folder / "log.jsonl") if "loss" in line]


def weights(folder: Path) -> bytes:
    """Of the newest checkpoint."""
    return (max(folder.glob("checkpoints/step-*")) / "model.safetensors").read_bytes()
