"""DROP's and CoQA's metrics, counted by hand; `parity/test_reading.py` holds them against lm-eval."""

from __future__ import annotations

import pytest

from evalharness.errors import DataError
from evalharness.scoring.spans import DropF1, LeaveOneOut
from evalharness.types import Attempt, Parsed, Reference

NOTHING = Attempt(calls=())


def drop(said: str | None, *golds: list[str], **options: object) -> float:
    reference = Reference(facts={"golds": list(golds)})
    return DropF1.model_validate(options).score(NOTHING, reference, Parsed(said, why="empty"), None).value


@pytest.mark.parametrize(
    ("said", "golds", "f1", "exact"),
    [
        ("7", [["7"]], 1.0, 1.0),
        ("7.0 sails", [["7"]], 0.67, 0.0),  # of two words one is right
        ("8 sails", [["7 sails"]], 0.0, 0.0),  # another number pairs with nothing
        ("the old mill", [["mill"], ["old mill"]], 1.0, 1.0),
        ("Anna, Carla", [["Anna", "Carla"]], 1.0, 1.0),
        ("Carla, Anna, Bo", [["Anna", "Carla"]], 0.67, 0.0),  # two of three spans
        ("well known", [["well-known"]], 1.0, 1.0),
        ("3 May, 1911", [["3 May, 1911"]], 1.0, 1.0),  # the text as a whole
        (None, [["7"]], 0.0, 0.0),
    ],
)
def test_drop(said: str | None, golds: list[list[str]], f1: float, exact: float) -> None:
    assert drop(said, *golds, separator=", ") == f1
    assert drop(said, *golds, separator=", ", exact=True) == exact


def test_without_a_separator_what_is_said_is_one_span() -> None:
    assert drop("Anna, Carla", ["Anna", "Carla"]) == 0.33  # F1 of 2/3 with one of two spans
    assert drop("Anna, Carla", ["Anna", "Carla"], exact=True) == 0.0


def test_right_answers_must_be_lists_of_spans() -> None:
    with pytest.raises(DataError, match="needs lists of spans"):
        drop("7")
    with pytest.raises(DataError, match="reads the fact 'golds'"):
        DropF1().score(NOTHING, Reference(), Parsed("7"), None)


def left_out(said: str | None, *golds: str, exact: bool = False) -> float:
    return LeaveOneOut(exact=exact).score(NOTHING, Reference(target=golds), Parsed(said, why="empty"), None).value


def test_leave_one_out() -> None:
    """Against all but one of three right answers: exact matches in two of three of these, and in one of one."""
    assert left_out("in May", "in May", "May", "spring", exact=True) == pytest.approx(2 / 3)
    assert left_out("in May", "in May", "May", "spring") == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert left_out("The May!", "may", exact=True) == 1.0
    assert left_out(None, "may") == 0.0
    assert left_out(None, "the", "a") == 1.0, "nothing is left of either"
