"""What goes through the pipe arrives as the plain value that it is, of exactly its type."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.sandbox.inside.plain import NotPlain, decoded, encoded


def sent(value: Any) -> Any:
    """The value as it arrives in the other box."""
    return decoded(json.loads(json.dumps(encoded(value))))


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.fractions()
)
KEYS = st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text()) | st.frozensets(st.integers())
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Equal, and of equal types all the way down: 1, 1.0 and True are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) for pair in zip(left.items(), right.items(), strict=True) for a, b in [pair]
        )
    if isinstance(left, set | frozenset):
        return left == right and {(type(x), x) for x in left} == {(type(x), x) for x in right}
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    assert same(sent(value), value)


def test_what_is_not_a_number_and_what_is_too_large_for_json() -> None:
    assert math.isnan(sent(float("nan")))
    assert sent([math.inf, -math.inf]) == [math.inf, -math.inf]
    huge = 7**20000  # more digits than Python turns into text
    assert sent(huge) == huge
    assert sent("\ud800") == "\ud800"


def test_subclasses_arrive_as_what_they_extend() -> None:
    Pair = namedtuple("Pair", "x y")

    class Color(IntEnum):
        RED = 1

    class Liar(list):  # type: ignore[type-arg]
        def __eq__(self, other: object) -> bool:
            return True

        def __iter__(self) -> Any:
            return iter([42])

    for value, plain in ((Pair(1, 2), (1, 2)), (Color.RED, 1), (Liar([1]), [1])):
        assert same(sent(value), plain)


def test_containers_of_the_standard_library_arrive_as_themselves() -> None:
    for value in (
        Counter("aab"),
        OrderedDict(b=1, a=2),
        deque([1, (2,)], maxlen=3),
        defaultdict(list, a=[1]),
        defaultdict(None, a=1),
        date(2024, 2, 29),
        datetime(2024, 2, 29, 1, 2, 3, 4),
        clock(1, 2),
        timedelta(days=-1, microseconds=5),
    ):
        arrived = sent(value)
        assert (type(arrived), arrived) == (type(value), value)
    assert sent(Counter("a"))["z"] == 0
    assert sent(defaultdict(int))["z"] == 0
    assert sent(OrderedDict(b=1, a=2)) != OrderedDict(a=2, b=1)
    assert same(sent(defaultdict(lambda: 5, a=1)), {"a": 1})


def test_iterators_views_and_ranges() -> None:
    assert list(sent(x * x for x in range(3))) == [0, 1, 4]
    assert list(sent(map(str, [1]))) == ["1"]
    assert sent({1: 2}.keys()) == {1}
    assert list(sent({1: 2}.values())) == [2]
    assert sent({1: 2}.values()) != [2], "a view equals no list"
    assert sent({1: 2}.items()) == {(1, 2)}
    assert list(sent(itertools.chain([1], (2,)))) == [1, 2]
    assert sent(range(2, 9, 3)) == range(2, 9, 3)
    assert same(sent([Decimal("1.50"), Fraction(1, 3)]), [Decimal("1.50"), Fraction(1, 3)])


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), len, lambda: 1, type, _itself(), iter(lambda: 1, 2), NotImplemented])
def test_behaviour_is_refused(value: Any) -> None:
    with pytest.raises(NotPlain):
        encoded(value)


@pytest.mark.parametrize(
    "value",
    [
        {"unknown": 1},
        {"set": [[1]]},
        {"dict": [1]},
        {"int": 5},
        {"int": "z"},
        {"complex": [1]},
        {"bytes": "0"},
        {"tuple": 1, "set": 2},
        {},
        {"float": []},
        {"range": [1, 2, 0]},
        {"decimal": "x"},
        {"fraction": "1/0"},
        {"fraction": "1e99999999"},
        {"decimal": "1E99999999"},
        {"defaultdict": ["eval", []]},
        {"deque": 1},
        {"date": "yesterday"},
        {"timedelta": ["x", 1, 1]},
        {"timedelta": [10**12, 1, 1]},
        {"items": [1]},
    ],
    ids=str,
)
def test_everything_else_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decoded(value)
