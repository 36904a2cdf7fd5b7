"""What a definition may say; every fault is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from leaderboards.made_up import column, definition, write_definition

from evalharness.errors import DataError, UsageError
from evalharness.leaderboards.options import Leaderboard, load_leaderboard


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"colums": []}, "colums: unknown key; did you mean 'columns'?"),
        ({"columns": [column(metrik="acc")]}, "metrik: unknown key; did you mean 'metric'?"),
        ({"columns": [column(), column()]}, "columns: 'Easy' stands there twice"),
        ({"models": [{"name": "a"}, {"name": "a"}]}, "models: 'a' stands there twice"),
        ({"models": []}, "models"),
        ({"groups": {"all": ["Esay"]}}, "groups.all: no column 'Esay'; did you mean 'Easy'?"),
        ({"order": {"by": "Hrad"}}, "order.by: no column 'Hrad'; did you mean 'Hard'?"),
        ({"average": "none"}, "there is no average to order by"),
        ({"columns": [column(chance=1)]}, "chance and best are both 1"),
        ({"normalisation": "chance", "columns": [column(chance=None)]}, "what guessing scores"),
        ({"columns": [column(averaged=False)]}, "no column is averaged"),
        ({"trend": {}}, "trend: name a file or a family"),
        ({"trend": {"family": "x"}}, "no model of the family 'x'"),
        ({"models": [{"name": "a", "link": "javascript:alert(1)"}]}, "a link begins with https://"),
        ({"models": [{"name": "a", "size": "big"}]}, "a size is a number of parameters such as 135M"),
        ({"models": [{"name": "a", "samples": {"Eazy": "x"}}]}, "did you mean 'Easy'?"),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], fragment: str, tmp_path: Path) -> None:
    path = write_definition(tmp_path, definition(**changes))
    with pytest.raises(DataError) as caught:
        load_leaderboard(str(path))
    assert str(caught.value).startswith(str(path))
    assert fragment in str(caught.value)


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(UsageError, match="unknown leaderboard 'none-such'"):
        load_leaderboard("none-such")


def test_abilities_come_from_both_places() -> None:
    board = Leaderboard.model_validate(
        definition(
            columns=[column(group="knowledge"), column(name="Hard", group="reasoning")],
            groups={"all": ["Easy", "Hard"]},
        )
    )
    assert board.abilities == {"all": ("Easy", "Hard"), "knowledge": ("Easy",), "reasoning": ("Hard",)}


@pytest.mark.parametrize(("size", "parameters"), [("135M", 135e6), ("1.5B", 1.5e9), (7_000, 7_000)])
def test_sizes(size: object, parameters: float) -> None:
    board = Leaderboard.model_validate(definition([{"name": "a", "size": size}]))
    assert board.models[0].parameters == parameters
