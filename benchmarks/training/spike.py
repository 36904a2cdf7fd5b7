"""A poisoned stretch of data in a training: what it does to the loss, and what going back and leaving it out saves.

Three trainings of equal steps: on clean data; with 12 batches of random characters in the middle; and the same with
`spikes`. One JSON line of their last losses on clean texts that are held out. Their folders stay in OUTPUT, with
`curve.svg`, the losses around the stretch, which docs/pretraining.md shows; `evalharness report OUTPUT/spikes` draws
the whole of one.

    python benchmarks/training/spike.py OUTPUT
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from evalharness.pages.chart_file import chart_file
from evalharness.pages.line_chart import Line, Mark, Point
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.pretrain import pretrain

STEPS, SEQUENCES, POISONED = 600, 16, 12
BEGINS = 300
NAMES = ("Ada", "Ben", "Cora", "Dov", "Ema", "Finn", "Gus", "Hana")
THINGS = ("apples", "boats", "coins", "drums", "eggs", "flags")
SPIKES: dict[str, Any] = {"window": 64, "warmup": 100, "patience": 3, "skip": POISONED}


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        giver, taker, thing = draw.choice(NAMES), draw.choice(NAMES), draw.choice(THINGS)
        had, gave = draw.randint(5, 9), draw.randint(1, 4)
        lines.append(f"{giver} had {had} {thing} and gave {gave} to {taker}. {giver} has {had - gave} {thing}.")
    return lines


def noise(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(chr(draw.randint(0x21, 0x24F)) for _ in range(60)) for _ in range(count)]


def corpus(folder: Path, name: str, **texts: list[str]) -> None:
    for source, own in texts.items():
        (folder / f"{name}-{source}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in own))
    sources = [{"name": source, "paths": [f"{name}-{source}.jsonl"]} for source in texts]
    values = {"output": name, "sources": sources, "deduplication": {"exact": False}}
    build(PipelineOptions.model_validate(values), folder)


def training(name: str, *, poisoned: bool, spikes: dict[str, Any] | None) -> PretrainOptions:
    schedule = [{"at": 0, "weights": {"texts": 1}}]
    if poisoned:
        schedule.append({"at": BEGINS / STEPS, "weights": {"noise": 1}})
        schedule.append({"at": (BEGINS + POISONED) / STEPS, "weights": {"texts": 1}})
    values = {
        "folder": name,
        "model": {"layers": 2, "width": 64, "heads": 4},
        "data": {
            "corpus": "corpus",
            "context": 64,
            "mixture": {"schedule": schedule},
            "validation": {"corpus": "held_out"},
        },
        "steps": STEPS,
        "batch": {"sequences": SEQUENCES},
        "optimizer": [{"rate": 3e-3}],
        "schedule": {"shape": "cosine", "warmup": 20, "floor": 0.1},
        "checkpoints": {"every": 50},
        "log_every": 1,
        "spikes": spikes,
        "compute": {"device": "cpu"},
    }
    return PretrainOptions.model_validate(values)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    corpus(folder, "corpus", texts=sentences(20_000, 1), noise=noise(2_000, 2))
    corpus(folder, "held_out", texts=sentences(500, 3))
    trainings = {
        "clean": training("clean", poisoned=False, spikes=None),
        "poisoned": training("poisoned", poisoned=True, spikes=None),
        "spikes": training("spikes", poisoned=True, spikes=SPIKES),
    }
    result: dict[str, Any] = {}
    for name, options in trainings.items():
        pretrain(options, folder)
        log = [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines()]
        result[name] = {
            "validation_loss": [row["validation_loss"] for row in log if "validation_loss" in row][-1],
            "highest_loss_after_the_poison": max(
                row["loss"] for row in log if "loss" in row and row["step"] > BEGINS + POISONED
            ),
            "events": [{key: row[key] for key in row if key != "reason"} for row in log if "event" in row],
        }
    (folder / "curve.svg").write_text(curve(folder, list(trainings)), encoding="utf-8")
    print(json.dumps(result))


def curve(folder: Path, names: list[str]) -> str:
    """The losses of the steps around the stretch; of steps that were taken back and done again, both."""
    lines = []
    for look, name in enumerate(names):
        log = [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines()]
        points = [Point(row["step"], row["loss"]) for row in log if "loss" in row]
        shown = [point for point in points if BEGINS - 20 <= point.x <= BEGINS + 60]
        lines.append(Line(name, shown, look))
    title = f"Loss around {POISONED} batches of random characters"
    marks = [Mark(BEGINS, "the stretch begins")]
    return chart_file(lines, title=title, x_title="step", logarithmic=True, marks=marks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
