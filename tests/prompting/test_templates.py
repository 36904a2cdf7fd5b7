"""Template fields of a task file: kinds, errors, and the sandbox."""

from __future__ import annotations

import pytest

from evalharness.errors import DataError, UsageError
from evalharness.prompting.templates import Expression, Template, turn_template

ROW = {"question": "How many?", "choices": ["one", "two"], "answer": 1, "nested": {"text": ["a"], "label": ["A"]}}
HIDDEN = [
    "question.__class__",
    "''.__class__.__mro__",
    "''.__class__.__mro__[1].__subclasses__()",
    "letter.__globals__",
    "choices.__init__.__globals__",
    "cycler.__init__.__globals__.os",
    "''['__class__']",
]


def test_a_text_renders_columns_and_keeps_its_line_ends() -> None:
    assert Template("Q: {{ question }}\n", "here")(ROW) == "Q: How many?\n"
    assert Template("plain {text}\n\n", "here")(ROW) == "plain {text}\n\n"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ choices }}", ["one", "two"]),
        ("{{ answer }}", 1),
        (" {{ nested.label | position_of('A') }} ", 0),
        ("{{ choices | map('upper') | list }}", ["ONE", "TWO"]),
        ("{{ answer / 2 }}", 0.5),
        ("{{ none }}", None),
        ("{{ '1' }}", "1"),
    ],
)
def test_an_expression_keeps_its_type(source: str, value: object) -> None:
    found = Expression(source, "here")(ROW)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("source", ["answer", "{{ answer }} or {{ question }}", "{% if x %}1{% endif %}", ""])
def test_an_expression_is_one_pair_of_braces(source: str) -> None:
    with pytest.raises(DataError, match="here: this field takes one"):
        Expression(source, "here")


@pytest.mark.parametrize("make", [Template, Expression])
def test_a_missing_column_names_the_nearest(make: type[Template] | type[Expression]) -> None:
    with pytest.raises(DataError, match=r"^here: the row has no column 'qestion'; did you mean 'question'\?$"):
        make("{{ qestion }}", "here")(ROW)


def test_a_missing_attribute_names_the_columns() -> None:
    with pytest.raises(DataError, match=r"here: .*no attribute 'txt'.*the row has answer, choices, nested, question"):
        Template("{{ nested.txt }}", "here")(ROW)


@pytest.mark.parametrize("make", [Template, Expression])
@pytest.mark.parametrize("source", HIDDEN)
def test_python_is_out_of_reach(make: type[Template] | type[Expression], source: str) -> None:
    with pytest.raises(DataError, match=r"^here: [^\n]*(Python internals|unsafe|has no)[^\n]*\.$"):
        make(f"{{{{ {source} }}}}", "here")(ROW)


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(DataError, match="here"):
        Template("{{ choices.append('three') }}", "here")(ROW)
    assert ROW["choices"] == ["one", "two"]


def test_the_text_of_a_row_is_never_a_template() -> None:
    assert Template("{{ question }}", "here")({"question": "{{ 7 * 7 }}"}) == "{{ 7 * 7 }}"


@pytest.mark.parametrize("source", ["{{ question", "{{ question | nofilter }}", "{% for %}"])
def test_a_template_that_does_not_parse(source: str) -> None:
    with pytest.raises(DataError, match=r"here: the template .* does not parse"):
        Template(source, "here")


def test_a_template_that_fails_on_a_row() -> None:
    with pytest.raises(DataError, match="here: the template fails on a row: ValueError"):
        Expression("{{ choices | position_of('three') }}", "here")(ROW)


def test_columns_are_those_that_the_template_reads() -> None:
    source = "{% for choice in choices %}{{ letter(loop.index0) }} {{ choice }}{% endfor %}{{ nested.text }}"
    assert Template(source, "here").columns == {"choices", "nested"}


def test_an_unknown_turn_template_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'question_answer'"):
        turn_template("question_answers")
