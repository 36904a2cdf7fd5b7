"""Worked questions in published files of prompts, as rows; the text around them stays with the task that shows them.

A prompt that a Python source holds is read from its syntax tree: nothing of the file is executed.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.errors import DataError, nearest

Rows = list[dict[str, Any]]

_RULE = "-----\n"


def big_bench_hard(text: str, where: str) -> Rows:
    """Rows ``{input, answer}``; after a rule of five hyphens the file has a description, then questions and answers::

        Q: Tomorrow is ...
        A: Let's think step by step. ...

    Raises:
        DataError: the file has another form.
    """
    _, _, body = text.partition(_RULE)
    rows = []
    for block in body.split("\n\nQ: ")[1:]:
        question, mark, answer = block.partition("\nA: ")
        if not mark:
            raise DataError(f"{where}: the question {question[:40]!r} has no answer; write it on a line after 'A: '.")
        rows.append({"input": question, "answer": answer.rstrip("\n")})
    if not rows:
        raise DataError(f"{where}: no worked question; after a line of five hyphens each begins with 'Q: '.")
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a prompt joins its worked questions, to the character."""

    variable: str
    """That the source assigns the prompt to."""
    begin: str
    """Of each question."""
    middle: str
    """Between a question and its program."""
    separator: str
    """Between a program and the next question."""
    head: str = ""
    tail: str
    """What the prompt begins and ends with, beside its worked questions."""
    column: str
    """Of the rows: the programs."""


_PAL = _Layout(
    variable="MATH_PROMPT",
    begin="Q: ",
    middle="\n\n# solution in Python:\n\n\n",
    separator="\n" * 6,
    tail="\n" * 6 + "Q: {question}\n\n# solution in Python:\n\n\n",
    column="solution",
)
_PROGRAM_OF_THOUGHTS = _Layout(
    variable="prompt",
    begin="Question: ",
    middle="\n# Python code, return ans\n",
    separator="\n\n",
    head="\n",
    tail="\n",
    column="program",
)


def pal(text: str, where: str) -> Rows:
    """Rows ``{question, solution}`` of PAL's ``MATH_PROMPT`` (Gao et al. 2022, arXiv:2211.10435).

    Raises:
        DataError: the source has another form.
    """
    return _worked(text, _PAL, where)


def program_of_thoughts(text: str, where: str) -> Rows:
    """Rows ``{question, program}`` of the ``prompt`` of a script of program of thoughts (Chen et al. 2022,
    arXiv:2211.12588).

    Raises:
        DataError: the source has another form.
    """
    return _worked(text, _PROGRAM_OF_THOUGHTS, where)


def problem_answer(text: str, where: str) -> Rows:
    """Rows ``{input, task_prefix, answer}`` of the symbolic demonstrations of the survey (Zhao et al. 2023,
    arXiv:2303.18223); the prefix is empty, since each problem holds its own::

        Problem: On the table there is ...
        Answer: red

    Raises:
        DataError: the file has another form.
    """
    rows = []
    for block in text.strip().split("\n\nProblem: "):
        question, mark, answer = block.removeprefix("Problem: ").rpartition("\nAnswer: ")
        if not (mark and question and answer):
            raise DataError(f"{where}: no worked problem: {block[:40]!r}; write 'Problem: ', then a line 'Answer: '.")
        rows.append({"input": question, "task_prefix": "", "answer": answer})
    return rows


def json_rows(text: str, where: str) -> Rows:
    """The objects of one list, as they are: the survey's worked problems in mathematics.

    Raises:
        DataError: the file has another form.
    """
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}); take the file as it is published.") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: must be one list of objects, each a worked question.")
    return rows


def react(text: str, where: str) -> Rows:
    """Rows ``{question, steps}`` of a prompt of ReAct (Yao et al. 2022, arXiv:2210.03629)::

        Question: Which river flows through ...
        Thought 1: I need to ...
        Action 1: Search[...]
        Observation 1: ...

    Raises:
        DataError: the prompt has another form.
    """
    head, *blocks = f"\n{text.strip()}".split("\nQuestion: ")
    rows = []
    for block in blocks:
        question, mark, steps = block.partition("\nThought 1:")
        if head or not (mark and question and steps):
            raise DataError(
                f"{where}: no question with its steps: {(head or block)[:40]!r}; write 'Question: ', then a line "
                "'Thought 1: '."
            )
        rows.append({"question": question, "steps": f"Thought 1:{steps}"})
    if not rows:
        raise DataError(f"{where}: no question; each begins with a line 'Question: '.")
    return rows


def prompt_at(text: str, key: str, where: str) -> str:
    """One prompt of a JSON object that holds several.

    Raises:
        DataError: the file is none, or has no such prompt.
    """
    try:
        prompts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: this is no JSON ({error}); take the file as it is published.") from None
    if not isinstance(prompts, dict) or not isinstance(prompts.get(key), str):
        known = sorted(prompts) if isinstance(prompts, dict) else ()
        raise DataError(f"{where}: there is no text '{key}' in it; {nearest(key, known)}")
    return str(prompts[key])


FORMATS: Mapping[str, Callable[[str, str], Rows]] = {
    "big_bench_hard": big_bench_hard,
    "json": json_rows,
    "pal": pal,
    "problem_answer": problem_answer,
    "program_of_thoughts": program_of_thoughts,
    "react": react,
}
"""What reads a file of `PromptFileOptions.format`, given its text and where it lies."""


def _worked(source: str, layout: _Layout, where: str) -> Rows:
    prompt = _assigned(source, layout.variable, where)
    if not (prompt.startswith(layout.head) and prompt.endswith(layout.tail)):
        raise DataError(
            f"{where}: {layout.variable} should begin with {layout.head + layout.begin!r} and end with "
            f"{layout.tail!r}; take the file as it is published."
        )
    rows = []
    for block in prompt[len(layout.head) : -len(layout.tail)].split(layout.separator):
        question, middle, program = block.removeprefix(layout.begin).partition(layout.middle)
        if not (block.startswith(layout.begin) and middle and question and program):
            raise DataError(
                f"{where}: a part of {layout.variable} is no worked question: {block[:40]!r}; each is "
                f"{layout.begin!r}, the question, {layout.middle!r} and a program, and {layout.separator!r} parts them."
            )
        rows.append({"question": question, layout.column: program})
    return rows


def _assigned(source: str, variable: str, where: str) -> str:
    """The text that a module assigns to a variable, last of all."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes in strings, which are the file's own affair
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: this is no Python source ({error}); take the file as it is published.") from None
    for node in reversed(tree.body):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == variable:
                return _text(value, f"{where}: {variable}")
    raise DataError(f"{where}: nothing is assigned to {variable}; take the file as it is published.")


def _text(node: ast.expr, where: str) -> str:
    """The text that an expression says: a constant, one that is stripped, or a sum of those."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Attribute(value=inner, attr="strip"), args=[], keywords=[]):
            return _text(inner, where).strip()
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, where) + _text(right, where)
    raise DataError(f"{where} is no constant text, and nothing of the file is executed; take the published file.")
