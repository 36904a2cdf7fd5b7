"""The bundled rows are right: every calculation in them is done again here."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from evalharness.data import demo
from evalharness.data.files import read_rows
from evalharness.data.options import DataOptions
from evalharness.errors import DataError

ROWS = read_rows(demo.FOLDER / "gsm8k_demo.jsonl")
CALCULATION = re.compile(r"<<([-+*/.\d]+)=([-.\d]+)>>")


def _value(expression: str) -> Fraction:
    """Exact value of a chain of + - * /, read by Python's own grammar over fractions."""
    exact = re.sub(r"\d+(\.\d+)?", lambda number: f"Fraction('{number[0]}')", expression)
    return Fraction(eval(exact, {"__builtins__": {}, "Fraction": Fraction}))


def test_twenty_distinct_problems() -> None:
    assert len(ROWS) == len({row["question"] for row in ROWS}) == 20
    assert all(list(row) == ["question", "answer"] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_every_calculation_is_right_and_the_last_is_the_answer(row: dict[str, Any]) -> None:
    solution, answer = row["answer"].split("\n#### ")
    calculations = CALCULATION.findall(solution)
    assert solution.count("<<") == len(calculations) >= 2
    for expression, result in calculations:
        assert _value(expression) == Fraction(result)
        assert f"{expression} = " in solution
    assert Fraction(answer.replace(",", "")) == Fraction(calculations[-1][1])


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_what_is_shown_after_a_calculation_is_its_result(row: dict[str, Any]) -> None:
    shown = re.findall(r"=([-.\d]+)>>(\d[\d,]*(?:\.\d+)?)", row["answer"])
    assert len(shown) == row["answer"].count("<<")
    assert all(Fraction(result) == Fraction(text.replace(",", "")) for result, text in shown)


def test_five_demonstrate_and_fifteen_are_asked() -> None:
    options = DataOptions(hub="openai/gsm8k", config="main", demo="gsm8k_demo")
    train, test = demo.load(options, "train"), demo.load(options, "test")
    assert [*train.rows, *test.rows] == ROWS
    assert (train.total, test.total) == (5, 15)


def test_an_unknown_demo_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no bundled sample 'gsm8k_dmo'; did you mean 'gsm8k_demo'"):
        demo.load(DataOptions(hub="a/b", demo="gsm8k_dmo"), "test")
