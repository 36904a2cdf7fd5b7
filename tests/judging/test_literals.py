"""Plain data as Python source makes the same data again."""

from __future__ import annotations

import ast
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.judging.literals import literal

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(PLAIN)
def test_the_same_again(value: Any) -> None:
    again = ast.literal_eval(literal(value))
    assert again == value
    assert str(again) == str(value)


def test_whole_numbers_of_any_length() -> None:
    number = int(Decimal("7" * 6000))
    assert eval(literal([number, -number])) == [number, -number]


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_what_json_lacks(value: float) -> None:
    assert eval(literal(value)) == value
    assert str(eval(literal(float("nan")))) == "nan"
