"""Programs in what models write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.base import build_parser
from evalharness.answers.code import CodeParser
from evalharness.errors import DataError
from evalharness.types import Parsed


def read(text: str, **options: str) -> str | None:
    return CodeParser.model_validate(options).parse(text).value


ONE = "Here it is:\n```python\ndef f(x):\n    return x\n```\nThat is all."
TWO = "```\na = 1\n```\nor\n```py\na = 2\n```"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("    return x\n", "    return x\n"),
        (ONE, "def f(x):\n    return x\n"),
        (TWO, "a = 1\n"),
        ("```python\ndef f(x):\n    return x", "def f(x):\n    return x"),
        ("text\n\n~~~ Python 3\na = `b`\n~~~\n", "a = `b`\n"),
        ("````\n```\nb\n```\n````\n", "```\nb\n```\n"),
        ('```\na = """\n```python\n"""\n```', 'a = """\n```python\n"""\n'),
        ("1. So:\n   ```python\n   if a:\n       b\n   ```\n", "if a:\n    b\n"),
        ("`a = 1` is the answer", "`a = 1` is the answer"),
        ("```a = 1``` is the answer", "```a = 1``` is the answer"),
        ("```python\r\na = 1\r\n```", "a = 1\r\n"),
    ],
)
def test_auto(text: str, program: str) -> None:
    assert read(text) == program


def test_a_completion_is_read_to_the_character() -> None:
    assert read(ONE, form="completion") == ONE
    assert read("\n    return 1  ", form="completion") == "\n    return 1  "


def test_the_last_block() -> None:
    assert read(TWO, which="last") == "a = 2\n"


@pytest.mark.parametrize(
    ("options", "text", "why"),
    [
        ({"form": "fenced"}, "a = 1", "there is no fenced block in the text"),
        ({"form": "fenced"}, "```python\n```", "the fenced block is empty"),
        ({"form": "auto"}, "```\n \n```", "the fenced block is empty"),
        ({"form": "completion"}, " \n", "the text is empty"),
        ({"form": "auto"}, "", "the text is empty"),
    ],
)
def test_what_is_no_program(options: dict[str, str], text: str, why: str) -> None:
    assert CodeParser.model_validate(options).parse(text) == Parsed(None, why=why)


@given(st.text(alphabet="` ~\n\tab:", max_size=40), st.sampled_from(["completion", "fenced", "auto"]))
def test_any_text_is_read_or_refused_and_the_place_is_in_it(text: str, form: str) -> None:
    parsed = CodeParser.model_validate({"form": form}).parse(text)
    assert (parsed.value is None) == (parsed.why is not None)
    if parsed.span is not None:
        start, end = parsed.span
        assert 0 <= start < end <= len(text)
        lines = zip((parsed.value or "").split("\n"), text[start:end].split("\n"), strict=True)
        assert all(place.endswith(line) and not place.removesuffix(line).strip() for line, place in lines)


def test_a_right_program_is_left_as_it_is() -> None:
    assert CodeParser().canonical("    return 1\n") == "    return 1\n"


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(DataError, match="form"):
        build_parser({"parser": "code", "form": "block"}, "answer")
