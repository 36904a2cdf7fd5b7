"""A split refuses rows and positions that do not fit, and names a missing column."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.data.split import Source, Split, make_split, require_columns
from evalharness.errors import DataError


def _split(rows: list[dict[str, Any]], indices: list[int] | None = None) -> Split:
    source = Source(kind="file", location="rows.jsonl", split="test", n=len(rows), of=None)
    return make_split(rows, indices, source)


def test_columns_that_are_there() -> None:
    require_columns(_split([{"question": 1, "answer": 2, "extra": 3}]), ["question", "answer"])
    require_columns(_split([{"question": 1}]), [])


def test_a_missing_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(DataError) as error:
        require_columns(_split([{"question": 1, "answers": 2}]), {"question", "answer"})
    assert str(error.value) == ("rows.jsonl: no column 'answer' in row 0 of split 'test'; did you mean 'answers'?")


def test_a_column_missing_in_one_row_is_found_at_its_original_position() -> None:
    with pytest.raises(DataError, match="no column 'hint' in row 70"):
        require_columns(_split([{"hint": 1}, {"hnt": 1}], [5, 70]), ["hint"])


def test_a_source_of_unknown_size_says_so() -> None:
    assert str(_split([{"a": 1}]).source) == "rows.jsonl (file), 1 rows of an unknown number"
