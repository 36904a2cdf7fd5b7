"""Filters for questions about a text: DROP's answers by several people, CoQA's conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any


def drop_answers(answer: Mapping[str, Any], validated: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    """Each different right answer of a question of DROP as its spans: a number, spans of the text, or a date."""
    keys = ("number", "date", "spans")
    others = [dict(zip(keys, each, strict=True)) for each in zip(*(validated[key] for key in keys), strict=True)]
    found = [_spans(each) for each in (answer, *others)]
    return [list(spans) for spans in dict.fromkeys(map(tuple, found)) if spans[0].strip()]


def _spans(answer: Mapping[str, Any]) -> list[str]:
    if answer["number"] != "":
        return [str(answer["number"])]
    if answer["spans"]:
        return list(answer["spans"])
    return [" ".join(answer["date"][part] for part in ("day", "month", "year")).strip()]


def coqa_turns(questions: Sequence[str], answers: Sequence[str]) -> str:
    """The turns of a conversation, each but the last with its first answer, as far as the last ``A:``."""
    turns = zip_longest(questions, answers[: len(questions) - 1])
    return "".join(f"Q: {question}\n\n" + ("A:" if said is None else f"A: {said}\n\n") for question, said in turns)


def coqa_answers(answers: Sequence[str], additional: Mapping[str, Mapping[str, Sequence[str]]] | None) -> list[str]:
    """Each different answer to the last question, in any case, the first one before those that others gave."""
    last = len(answers) - 1
    found: dict[str, str] = {}
    for text in (answers[last], *(each["input_text"][last] for each in (additional or {}).values())):
        found.setdefault(text.lower(), text)
    return list(found.values())


FILTERS: dict[str, Callable[..., Any]] = {
    "coqa_answers": coqa_answers,
    "coqa_turns": coqa_turns,
    "drop_answers": drop_answers,
}
