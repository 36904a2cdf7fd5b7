"""What is held out and what remains are the whole, each once."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stack.corpus.packing import PackedSource
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.held_out import HeldOut, Remaining, ValidationOptions, held_numbers


def numbers(size: int) -> PackedSource:
    """A source whose sequences are their numbers."""
    return cast(PackedSource, range(size))


def some(size: int, **options: Any) -> list[int]:
    return held_numbers("books", size, ValidationOptions.model_validate(options)).tolist()


@given(size=st.integers(1, 40), data=st.data())
def test_what_remains_is_numbered_anew(size: int, data: st.DataObject) -> None:
    held = sorted(data.draw(st.sets(st.integers(0, size - 1))))
    remaining = Remaining(numbers(size), np.array(held, np.int64))
    assert [remaining[number] for number in range(len(remaining))] == [n for n in range(size) if n not in held]


def test_a_share_or_a_number_of_each_source_is_held_out() -> None:
    assert len(some(200, share=0.05)) == 10
    assert len(some(200, sequences=7)) == 7
    assert some(9, share=0.05) == []
    assert some(200, corpus="other") == held_numbers("books", 200, None).tolist() == []
    chosen = some(200, sequences=20)
    assert chosen == sorted(set(chosen))
    assert chosen == some(200, sequences=20)
    assert chosen != some(200, sequences=20, seed=1)
    assert chosen != held_numbers("web", 200, ValidationOptions(sequences=20)).tolist()


def test_validation_takes_every_sequence_once_in_one_order() -> None:
    parts = [
        (numbers(50), np.array([3, 7, 30])),
        (numbers(0), np.array([], np.int64)),
        (numbers(200), np.arange(100, 140)),
    ]
    held = HeldOut(parts, ValidationOptions(share=0.1))
    order = [cast(int, held[place]) for place in range(len(held))]
    assert sorted(order) == [3, 7, 30, *range(100, 140)]
    assert order != sorted(order)
    again = HeldOut(parts, ValidationOptions(share=0.1))
    assert order == [cast(int, again[place]) for place in range(43)]
    other = HeldOut(parts, ValidationOptions(share=0.1, seed=1))
    assert order != [cast(int, other[place]) for place in range(43)]


def test_something_is_left_to_train_on_and_something_held_out() -> None:
    for options in ({"sequences": 5}, {"sequences": 6}, {"share": 0.95}):
        with pytest.raises(TrainingError, match=r"holds out \d sequences of 'books', which has 5: none would be left"):
            some(5, **options)
    with pytest.raises(TrainingError, match="holds out not one sequence"):
        HeldOut([(numbers(9), np.array([], np.int64))], ValidationOptions(share=0.05))
    assert len(HeldOut([(numbers(9), np.array([], np.int64))], None)) == 0


@pytest.mark.parametrize("options", [{}, {"share": 0.1, "sequences": 3}, {"share": 0.1, "corpus": "other"}])
def test_one_way_of_holding_out(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of share, sequences and corpus"):
        ValidationOptions.model_validate(options)
