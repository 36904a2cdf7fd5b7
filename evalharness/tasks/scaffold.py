"""A first version of a task file, from what its author knows: where the rows are, and which columns say what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import UsageError, nearest

Kind = Literal["choice", "generate", "continuation", "document"]
KINDS: dict[Kind, str] = {
    "choice": "one of several given answers is right; each is scored as a continuation",
    "generate": "the model writes its answer, which is parsed and compared",
    "continuation": "how likely is one given continuation",
    "document": "how well is a whole text predicted",
}
FIELDS: dict[Kind, tuple[str, ...]] = {
    "choice": ("question", "choices", "gold"),
    "generate": ("question", "answer"),
    "continuation": ("question", "answer"),
    "document": ("text",),
}
"""What each kind needs to be told."""
SCHEMA = "task.schema.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the author said. Fields hold a column's name or a template."""

    name: str
    kind: Kind
    file: str | None = None
    """Path of the rows, as the task file will say it."""
    hub: str | None = None
    config: str | None = None
    split: str = "test"
    fields: Mapping[str, str]
    row: Mapping[str, Any] | None = None
    """The first row, where it is at hand."""


def check_name(name: str, folder: Path) -> Path:
    """The file of a new task.

    Raises:
        UsageError: the name cannot be one, or the file exists.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise UsageError(f"'{name}' is no name of a task; use small letters, digits and underscores: my_task.")
    path = folder / f"{name}.yaml"
    if path.exists():
        raise UsageError(f"{path} exists already; choose another name or --out.")
    return path


def check_columns(plan: Plan) -> None:
    """Refuse a bare word that is no column of the rows.

    Raises:
        UsageError: which one, and the nearest column.
    """
    for field in FIELDS[plan.kind]:
        for word in _words(plan.fields[field]) if field == "choices" else [plan.fields[field]]:
            if plan.row is not None and re.fullmatch(r"\w+", word) and word not in plan.row:
                raise UsageError(f"--{field} {word}: the rows have no such column; {nearest(word, plan.row)}")


def text_of(plan: Plan) -> str:
    """The task file."""
    lines = [
        f"# yaml-language-server: $schema=./{SCHEMA}",
        f"name: {plan.name}",
        "version: 1   # raise it when scores before and after do not compare",
        "ability: own",
        "description: What this measures, in one sentence.",
        "source: {paper: unpublished, license: not stated, columns_from: the file itself}",
        "",
        "# Where the rows are.",
        *_data(plan),
        "",
        "# How a sample is asked.",
        *_prompt(plan),
        "",
        *_form(plan),
    ]
    return "\n".join(lines) + "\n"


def _data(plan: Plan) -> list[str]:
    given = {"hub": plan.hub, "config": plan.config, "file": plan.file, "split": plan.split}
    return ["data:", *(f"  {key}: {_quoted(value)}" for key, value in given.items() if value)]


def _prompt(plan: Plan) -> list[str]:
    if plan.kind == "document":
        return ["prompt: {template: plain, question: ''}   # nothing stands before the document"]
    template = "plain" if plan.kind == "continuation" else "question_answer"
    return [
        "prompt:",
        f"  template: {template}   # one of prompts/: question_answer, q_a, lettered_choices, plain",
        f"  question: {_quoted(_template(plan.fields['question']))}",
    ]


def _form(plan: Plan) -> list[str]:
    fields = plan.fields
    match plan.kind:
        case "choice":
            return [
                "# The choices, and the position of the right one, counted from 0.",
                "choices:",
                f"  texts: {_choices(fields['choices'], plan.row)}",
                f"  gold: {_quoted(_gold(fields['gold'], fields['choices'], plan.row))}",
                "elicitation: {method: choice_likelihood}",
                "metrics: [acc, acc_norm]",
            ]
        case "generate":
            return [
                "# What is right, how long an answer may be, and how it is read and compared.",
                f"target: {_quoted(_template(fields['answer']))}",
                "elicitation: {method: direct}",
                'decode: {max_tokens: 256, stop: ["\\nQuestion:"]}',
                "answer: {parser: span}   # or number, choice, boolean, boxed, regex, text",
                "metrics: [{metric: exact_match, ignore_case: true}]",
            ]
        case "continuation":
            return [
                "# The text whose likelihood is asked.",
                f"continuation: {_quoted(_template(fields['answer']))}",
                "elicitation: {method: continuation_likelihood}",
                "metrics: [greedy_match, perplexity]",
            ]
    return [
        "# The text whose every token is scored.",
        f"document: {{text: {_quoted(_template(fields['text']))}}}",
        "elicitation: {method: rolling_likelihood}",
        "metrics: [word_perplexity, byte_perplexity, bits_per_byte]",
    ]


def _template(field: str) -> str:
    """A bare column as a template that says it; a template as it is."""
    return f"{{{{ {field} }}}}" if re.fullmatch(r"\w+", field) else field


def _words(field: str) -> list[str]:
    return [word.strip() for word in field.split(",")] if "{" not in field else [field]


def _choices(field: str, row: Mapping[str, Any] | None) -> str:
    """One column that holds a list, or several columns (or texts) with commas between."""
    words = _words(field)
    if len(words) == 1:
        return _quoted(_template(field))
    known = row or {}
    return "[" + ", ".join(_quoted(_template(word) if word in known or row is None else word) for word in words) + "]"


def _gold(field: str, choices: str, row: Mapping[str, Any] | None) -> str:
    """The expression of the right position: of a number as it is, of a letter or a text by looking it up."""
    if not re.fullmatch(r"\w+", field) or row is None:
        return _template(field)
    value = row[field]
    if isinstance(value, str) and value.isdigit():
        return f"{{{{ {field} | int }}}}"
    if isinstance(value, str) and re.fullmatch("[A-Z]", value):
        return f"{{{{ 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.index({field}) }}}}"
    if isinstance(value, str):
        words = _words(choices)
        listed = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
        return f"{{{{ {listed} | position_of({field}) }}}}"
    return f"{{{{ {field} | int }}}}" if isinstance(value, bool) else f"{{{{ {field} }}}}"


def _quoted(text: str | Sequence[str]) -> str:
    """A YAML scalar: JSON's strings are YAML's."""
    return json.dumps(text, ensure_ascii=False)
