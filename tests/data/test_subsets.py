"""Subsets that a column tells apart: which rows are of one, where they stand, and how many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.data.sources import SourceSettings, load_split
from evalharness.errors import DataError

ROWS = [
    {"text": "a", "about": {"level": "hard"}},
    {"text": "b", "about": {"level": "easy"}},
    {"text": "c", "about": {"level": "hard"}},
]
OPTIONS = DataOptions(hub="org/levels", subset_column="about.level", subsets={"levels": ("easy", "hard", "none")})


def _load(mirror: Any, subset: str | None, options: DataOptions = OPTIONS) -> Any:
    return load_split(options, "test", subset=subset, settings=SourceSettings(data_dir=mirror.root, hub=False))


def test_the_rows_of_a_subset_stand_where_they_stood(mirror: Any) -> None:
    mirror.split("org/levels/default/test", ROWS)
    hard = _load(mirror, "hard")
    assert [row["text"] for row in hard.rows] == ["a", "c"]
    assert (list(hard.indices), hard.total) == ([0, 2], 2)
    assert (hard.source.config, hard.source.n, hard.source.of) == ("hard", 2, 2)
    assert [row["text"] for row in _load(mirror, "easy").rows] == ["b"]


def test_of_a_part_nobody_knows_how_many_the_subset_has(mirror: Any) -> None:
    mirror.split("org/levels/default/test", ROWS, indices={"indices": [4, 5, 9], "source_rows": 10})
    hard = _load(mirror, "hard")
    assert (list(hard.indices), hard.total, hard.source.of) == ([4, 9], None, None)


def test_a_file_needs_no_place_for_the_subset(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"level": "easy"}\n{"level": "hard"}\n')
    options = DataOptions(file="rows.jsonl", subset_column="level", subsets={"levels": ("easy", "hard")})
    assert load_split(options, "test", subset="hard", base_dir=tmp_path).indices == [1]


def test_a_subset_without_rows(mirror: Any) -> None:
    mirror.split("org/levels/default/test", ROWS)
    with pytest.raises(DataError, match=r"test.jsonl.gz: no row has 'none' in column 'about.level'; known: easy, hard"):
        _load(mirror, "none")


@pytest.mark.parametrize("column", ["level", "about.name", "text.level"])
def test_a_row_without_the_column(mirror: Any, column: str) -> None:
    mirror.split("org/levels/default/test", ROWS)
    options = OPTIONS.model_copy(update={"subset_column": column})
    with pytest.raises(DataError, match=f"no column '{column}' in row 0 of split 'test', which says its subset"):
        _load(mirror, "easy", options)
