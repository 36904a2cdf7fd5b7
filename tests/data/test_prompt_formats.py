"""Worked questions out of published files: what comes out is what stands there, to the character, or a sentence."""

from __future__ import annotations

import pytest

from evalharness.data.prompt_formats import (
    FORMATS,
    json_rows,
    pal,
    problem_answer,
    program_of_thoughts,
    prompt_at,
    react,
)
from evalharness.errors import DataError

PAL = '''
import os
MATH_PROMPT = \'\'\'
Q: Ann has 2 jars of 3 "nuts". How many?

# solution in Python:


def solution():
    """Ann has 2 jars."""
    jars = 2

    return jars * 3





Q: Ben's age?

# solution in Python:


def solution():
    return 7





Q: {question}

# solution in Python:
\'\'\'.strip() + '\\n\\n\\n'
'''
SOLUTION = 'def solution():\n    """Ann has 2 jars."""\n    jars = 2\n\n    return jars * 3'
POT = '''
raise SystemExit("executed")
prompt = "overwritten"
prompt = """
Question: Ann has 2 jars
of 3. How many?
# Python code, return ans
jars = 2
ans = jars * 3

Question: Ben’s age?
# Python code, return ans
ans = 7
"""

if __name__ == "__main__":
    raise SystemExit("executed")
'''


def test_pal() -> None:
    assert pal(PAL, "p") == [
        {"question": 'Ann has 2 jars of 3 "nuts". How many?', "solution": SOLUTION},
        {"question": "Ben's age?", "solution": "def solution():\n    return 7"},
    ]


def test_program_of_thoughts_and_nothing_is_executed() -> None:
    assert program_of_thoughts(POT, "p") == [
        {"question": "Ann has 2 jars\nof 3. How many?", "program": "jars = 2\nans = jars * 3"},
        {"question": "Ben’s age?", "program": "ans = 7"},
    ]


def test_react() -> None:
    first = "Thought 1: I search.\nAction 1: Search[a]\nObservation 1: Question: b\nThought 2: So.\nAction 2: Finish[c]"
    second = "Thought 1: Known.\nAction 1: Finish[d]"
    assert react(f"\nQuestion: a?\n{first}\nQuestion: b? \n{second}\n", "p") == [
        {"question": "a?", "steps": first},
        {"question": "b? ", "steps": second},
    ]


def test_one_prompt_of_several() -> None:
    assert prompt_at('{"one": "a", "two": "b"}', "two", "p") == "b"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "^p: there is no text 'two' in it;"),
        ('{"one": "a"}', "^p: there is no text 'two' in it; known: one"),
        ('{"two": ["a"]}', "^p: there is no text 'two' in it;"),
        ("{", "^p: this is no JSON"),
        ("[" * 100_000, "^p: this is no JSON"),
    ],
)
def test_no_such_prompt(text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        prompt_at(text, "two", "p")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("react", "", "p: no question; each begins with a line 'Question: '."),
        ("react", "Question: a?\nAnswer: b", "p: no question with its steps: 'a\\?"),
        ("react", "Claim: a\nThought 1: b", "p: no question; each begins with a line 'Question: '."),
        ("react", "Claim: a\nQuestion: b\nThought 1: c", "p: no question with its steps: '.nClaim: a"),
        ("pal", "MATH_PROMPT = (", r"p: this is no Python source \('\(' was never closed"),
        ("pal", "\0", "p: this is no Python source"),
        ("pal", "OTHER = 'a'", "p: nothing is assigned to MATH_PROMPT; take the file as it is published."),
        ("pal", "def f():\n    MATH_PROMPT = 'a'", "p: nothing is assigned to MATH_PROMPT"),
        ("pal", "MATH_PROMPT = open('x').read()", "p: MATH_PROMPT is no constant text, and nothing of the file is"),
        ("pal", "MATH_PROMPT = 'a'.strip('a')", "p: MATH_PROMPT is no constant text"),
        (
            "pal",
            "MATH_PROMPT = 'Q: a'",
            r"p: MATH_PROMPT should begin with 'Q: ' and end with '\\n\\n\\n\\n\\n\\nQ: \{",
        ),
        (
            "pal",
            PAL.replace("Q: Ben's", "Question: Ben's"),
            'a part of MATH_PROMPT is no worked question: "Question: B',
        ),
        (
            "pal",
            PAL.replace("solution in Python:\n\n\ndef", "solution in Python:\n\ndef"),
            "is no worked question: 'Q: A",
        ),
        (
            "program_of_thoughts",
            POT.replace("# Python code, return ans\nans", "ans"),
            "is no worked question: 'Question",
        ),
        (
            "program_of_thoughts",
            'prompt = "Question: a\\n"',
            r"p: prompt should begin with '\\nQuestion: ' and end with",
        ),
    ],
)
def test_a_file_of_another_form(name: str, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        FORMATS[name](text, "p")


def test_problems_with_answers() -> None:
    text = "Problem: A table:\na, b\nHow many?\nAnswer: 2\n\nProblem: Who?\nAnswer: Ann\n"
    assert problem_answer(text, "demo.txt") == [
        {"input": "A table:\na, b\nHow many?", "task_prefix": "", "answer": "2"},
        {"input": "Who?", "task_prefix": "", "answer": "Ann"},
    ]
    with pytest.raises(DataError, match=r"demo\.txt: no worked problem: 'Who\?'"):
        problem_answer("Who?", "demo.txt")


def test_a_list_of_objects_is_taken_as_it_is() -> None:
    assert json_rows('[{"question": "1 + 1?", "answer": "2", "steps": [1]}]', "demo.json") == [
        {"question": "1 + 1?", "answer": "2", "steps": [1]}
    ]


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '["a"]', "[" * 100_000])
def test_json_of_another_form_is_a_sentence(text: str) -> None:
    with pytest.raises(DataError, match=r"^demo\.json: "):
        json_rows(text, "demo.json")
