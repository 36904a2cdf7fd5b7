"""The parser of answers that are calls of functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from evalharness.answers.base import Parser
from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall, to_json
from evalharness.answers.function_calls.foreign_syntax import read_foreign
from evalharness.answers.function_calls.json_forms import fenced, read_json
from evalharness.answers.function_calls.python_syntax import read_python
from evalharness.answers.function_calls.react import read_react
from evalharness.answers.function_calls.trees import require_grammar
from evalharness.types import Parsed

Form = Literal["auto", "python", "json", "react", "java", "javascript"]

_LIST_BEGINS = re.compile(r"\[\s*[^\W\d][\w.]*\(")


class FunctionCallParser(Parser):
    """A list of calls in one canonical form, ``[{"arguments": {...}, "name": ...}]`` (calls.py), whatever form they
    were written in. An empty list is an answer too: it says that nothing is called.

    Where there is none, the reason begins with ``no call:`` or, where one was begun, with ``malformed call:``.
    """

    parser: str = "function_call"
    form: Form = "auto"
    """python: the whole text is a list of calls, as BFCL reads it. json: native calls, or objects in tags, in fences or
    between words. react: lines ``Action: name`` with an input. java, javascript: the whole text is a call in that
    language. auto: json, react and python in turn; python in a fence or between words too."""

    @model_validator(mode="after")
    def _grammar(self) -> Self:
        if self.form in ("java", "javascript"):
            require_grammar(self.form, f"the parser function_call with form: {self.form}")
        return self

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        try:
            value = to_json(self._read(text))
        except NoCall as error:
            return Parsed(None, why=f"no call: {error}")
        except MalformedCall as error:
            return Parsed(None, why=f"malformed call: {error}")
        return Parsed(value, (len(text) - len(text.lstrip()), len(text.rstrip())))

    def canonical(self, target: str) -> str:
        return self.parse(target).value or target.strip()

    def _read(self, text: str) -> list[FunctionCall]:
        match self.form:
            case "python":
                return read_python(text)
            case "json":
                return read_json(text)
            case "react":
                return read_react(text)
            case "java" | "javascript":
                return read_foreign(text, self.form)
        return _read_any(text)


def _read_any(text: str) -> list[FunctionCall]:
    """The calls in the first form that has any; else the first reason that begins a call, else that there is none."""
    refusal: ValueError = NoCall("the text holds none in any form")
    for read in (read_json, read_react, read_python, _read_python_within):
        try:
            return read(text)
        except NoCall:
            continue
        except MalformedCall as error:
            refusal = refusal if isinstance(refusal, MalformedCall) else error
    raise refusal


def _read_python_within(text: str) -> list[FunctionCall]:
    """The list of calls in a fence, else the one between other words."""
    begins = _LIST_BEGINS.search(text)
    within = [] if begins is None else [text[begins.start() : text.rfind("]") + 1]]
    refusal: ValueError = NoCall("the text holds no list of calls")
    for content in fenced(text) + within:
        try:
            return read_python(content)
        except (NoCall, MalformedCall) as error:
            refusal = error
    raise refusal
