"""Task files written by the tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

OWN: dict[str, Any] = {
    "name": "own",
    "version": 1,
    "ability": "reasoning/own",
    "description": "Adds two numbers.",
    "source": {"paper": "none", "license": "none", "columns_from": "this test"},
    "data": {"file": "own.jsonl", "split": "test"},
    "demonstrations": {"file": "pool.jsonl", "shots": 2},
    "prompt": {
        "template": "question_answer",
        "question": "{{ question }}",
        "answer": "{{ answer }}",
        "reasoned_answer": "{{ why }} So {{ answer }}.",
    },
    "target": "{{ answer }}",
    "elicitation": {"method": "direct"},
    "decode": {"max_tokens": 32, "stop": ["Question:"]},
    "answer": {"parser": "number"},
    "metrics": ["exact_match"],
    "protocols": {"short": {"decode": {"max_tokens": 8}}},
    "examples": [{"question": f"{n} + {n}?", "why": "Add.", "answer": str(2 * n)} for n in range(1, 5)],
}
"""A small task of the kind that a user would write."""


class TaskWriter:
    """Writes task files into a folder for `include`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def own(self, name: str = "own", **changes: Any) -> Path:
        """`OWN` with top-level keys changed; None takes a key out."""
        values = copy.deepcopy(OWN) | {"name": name} | changes
        return self.text(name, yaml.safe_dump({key: value for key, value in values.items() if value is not None}))

    def text(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def write(tmp_path: Path) -> TaskWriter:
    return TaskWriter(tmp_path)
