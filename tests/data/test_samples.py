"""Ids outlive the file, hashes follow what is read, and two rows never share a name."""

from __future__ import annotations

import datetime
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.data.samples import samples
from evalharness.data.split import Source, Split, make_split
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text


def _split(rows: list[dict[str, Any]], indices: list[int] | None = None) -> Split:
    return make_split(rows, indices, Source(kind="file", location="rows.jsonl", split="test", n=len(rows), of=None))


ROWS = [{"key": f"k{n}", "question": f"q{n}", "answer": n} for n in range(6)]


def test_ids_are_original_positions() -> None:
    assert [(s.id, s.index) for s in samples(_split(ROWS[:3], [4, 9, 2]), ["question"])] == [
        ("4", 4),
        ("9", 9),
        ("2", 2),
    ]


def test_ids_from_a_column_and_a_subset() -> None:
    made = list(samples(_split(ROWS[:2], [4, 9]), ["question"], subset="anatomy", id_column="key"))
    assert [(s.id, s.index, s.subset) for s in made] == [("anatomy/k0", 4, "anatomy"), ("anatomy/k1", 9, "anatomy")]
    assert next(samples(_split([{"key": 17}]), ["key"], subset="anatomy", id_column="key")).id == "anatomy/17"


def test_the_hash_is_that_of_the_canonical_json_of_the_columns() -> None:
    (sample,) = samples(_split(ROWS[:1]), ["question", "answer"])
    assert sample.content_hash == sha256_text(canonical_json({"answer": 0, "question": "q0"}))
    assert sample.row == ROWS[0]


@given(
    row=st.dictionaries(st.sampled_from("abcdef"), st.text() | st.integers(), min_size=2),
    data=st.data(),
)
def test_the_hash_follows_the_columns_that_are_read_and_nothing_else(row: dict[str, Any], data: st.DataObject) -> None:
    columns = data.draw(st.lists(st.sampled_from(sorted(row)), unique=True, min_size=1))
    (sample,) = samples(_split([row]), columns)
    order = list(row)
    random.Random(0).shuffle(order)
    other = {key: row[key] if key in columns else "changed" for key in order}
    assert next(samples(_split([other]), columns[::-1])).content_hash == sample.content_hash
    changed = {**row, columns[0]: [row[columns[0]]]}
    assert next(samples(_split([changed]), columns)).content_hash != sample.content_hash


def test_a_part_of_a_split_names_and_hashes_as_the_whole_does() -> None:
    whole = {s.id: s.content_hash for s in samples(_split(ROWS), ["question"])}
    part = {s.id: s.content_hash for s in samples(_split([ROWS[5], ROWS[1]], [5, 1]), ["question"])}
    assert part.items() <= whole.items()


def test_a_repeated_id_is_refused() -> None:
    with pytest.raises(DataError, match="rows 1 and 2 both have the id 'k1' in column 'key'"):
        list(samples(_split([ROWS[0], ROWS[1], ROWS[1]]), ["question"], id_column="key"))


@pytest.mark.parametrize("key", [None, "", True, 1.5, ["k"]])
def test_what_cannot_be_an_id(key: Any) -> None:
    with pytest.raises(DataError, match=r"row 0, column 'key': .* is no id"):
        list(samples(_split([{"key": key}]), ["key"], id_column="key"))


def test_missing_columns_are_found_before_the_first_sample() -> None:
    with pytest.raises(DataError, match="no column 'anser'"):
        samples(_split(ROWS), ["anser"])
    with pytest.raises(DataError, match="no column 'ky'"):
        samples(_split(ROWS), ["answer"], id_column="ky")


@pytest.mark.parametrize("value", [b"bytes", float("nan"), datetime.date(2026, 1, 1)])
def test_what_cannot_be_hashed(value: Any) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl: row 7 cannot be hashed"):
        list(samples(_split([{"a": value}], [7]), ["a"]))
    assert list(samples(_split([{"a": value, "b": 1}]), ["b"]))
