"""Rows that we wrote, in the columns of the benchmarks, and a mirror of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]

MMLU = {"abstract_algebra": 2, "astronomy": 5, "virology": 3}
"""Evaluated rows by subject: two groups of unequal sizes."""


def gsm8k(count: int) -> list[Row]:
    return [
        {
            "question": f"Box {n} holds {n + 2} red and {3 * n} blue marbles. How many marbles does it hold?",
            "answer": f"It holds {n + 2}+{3 * n} = <<{n + 2}+{3 * n}={4 * n + 2}>>{4 * n + 2} marbles.\n"
            f"#### {4 * n + 2}",
        }
        for n in range(count)
    ]


def arc_easy(count: int) -> list[Row]:
    return [
        {
            "id": f"own-{n}",
            "question": f"Which of these is {n} more than {n}?",
            "choices": {"text": [f"the number {2 * n + step}" for step in range(4)], "label": ["A", "B", "C", "D"]},
            "answerKey": "A",
        }
        for n in range(count)
    ]


def lambada(count: int) -> list[Row]:
    return [{"text": f"They counted {n} boats and {n} boats. Then they went home in boat {n}"} for n in range(count)]


def wikitext(count: int) -> list[Row]:
    return [{"page": f' = Boat {n} = \n \n It has " {n} masts " , and one @-@ eyed cat . \n'} for n in range(count)]


def mmlu(subject: str, count: int, first: int = 0) -> list[Row]:
    return [
        {"question": f"{subject}: what is {n}+1?", "subject": subject, "answer": n % 4,
         "choices": [str(n + 1 + (place - n) % 4) for place in range(4)]}
        for n in range(first, first + count)
    ]  # fmt: skip


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as a jsonl file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_mirror(root: Path, count: int = 60) -> Path:
    """A mirror with `count` rows of each benchmark (fewer of MMLU) under the benchmarks' own names."""
    for place, rows in {
        "openai/gsm8k/main/test": gsm8k(count),
        "openai/gsm8k/main/train": gsm8k(20),
        "allenai/ai2_arc/ARC-Easy/test": arc_easy(count),
        "allenai/ai2_arc/ARC-Easy/train": arc_easy(20),
        "EleutherAI/lambada_openai/default/test": lambada(count),
        "EleutherAI/wikitext_document_level/wikitext-2-raw-v1/test": wikitext(count),
    }.items():
        write_rows(root / f"{place}.jsonl", rows)
    for subject, some in MMLU.items():
        write_rows(root / f"cais/mmlu/{subject}/test.jsonl", mmlu(subject, some))
        write_rows(root / f"cais/mmlu/{subject}/dev.jsonl", mmlu(subject, 5, first=10))
    return root
