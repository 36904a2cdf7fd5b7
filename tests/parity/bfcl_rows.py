"""The rows of BFCL v4 that the package bfcl-eval carries, as our tasks see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from parity.bfcl_oracle import shared_oracle

from evalharness.answers.base import build_parser
from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.answers.function_calls.parser import FunctionCallParser
from evalharness.answers.function_calls.writing import Language
from evalharness.data.sources import SourceSettings, load_split
from evalharness.scoring.function_calls.reference import RightCalls, right_calls
from evalharness.tasks.task import Task, load_task
from evalharness.types import Sample

CHECKED = {
    "simple_python": 400,
    "simple_java": 100,
    "simple_javascript": 50,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
}
"""Categories whose calls are compared, and how many rows they have."""
UNCHECKED = {"irrelevance": 240, "live_irrelevance": 884, "live_relevance": 16}
"""Categories in which only whether anything is called counts."""


@dataclass(frozen=True)
class Row:
    """A row of a category, with what its task makes of it."""

    row: dict[str, Any]
    sample: Sample
    right: RightCalls | None
    """None in a category that is not checked."""
    answer: str
    """A right answer, as the task writes one."""


def language_of(category: str) -> Language:
    languages: dict[str, Language] = {"simple_java": "java", "simple_javascript": "javascript"}
    return languages.get(category, "python")


@cache
def task_of(category: str, protocol: str = "default") -> Task:
    return load_task(f"bfcl_{category}", protocol=protocol)


@cache
def rows_of(category: str) -> list[Row]:
    """Every row of a category; the test is skipped where the package is not installed."""
    shared_oracle()
    task = task_of(category)
    packaged = task.definition.data.model_copy(update={"hub": None, "config": None})
    split = load_split(packaged, "test", settings=SourceSettings(hub=False))
    return [_row(task, category, index, dict(row)) for index, row in enumerate(split.rows)]


def _row(task: Task, category: str, index: int, row: dict[str, Any]) -> Row:
    sample = Sample(id=row["id"], index=index, row=row, content_hash="")
    if category in UNCHECKED:
        return Row(row, sample, None, "")
    right = right_calls(str(task.renderer.reference(sample).target))
    return Row(row, sample, right, str(task.renderer.demonstration(sample, reasoned=False).answer))


def parser_of(language: str) -> FunctionCallParser:
    parser = build_parser({"parser": "function_call", "form": language}, "answer")
    assert isinstance(parser, FunctionCallParser)
    return parser


def as_bfcl(call: FunctionCall) -> dict[str, Any]:
    """A call as BFCL's decoders give it."""
    arguments = {
        name: as_bfcl(value) if isinstance(value, FunctionCall) else value for name, value in call.arguments.items()
    }
    return {call.name: arguments}
