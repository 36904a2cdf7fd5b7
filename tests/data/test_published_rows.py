"""Rows of published files: beside a mirror, in part or whole; in three forms; or a sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, Split, load_split
from evalharness.errors import DataError

URL = "http://127.0.0.1:9/quiz.jsonl"
ROWS = [{"clue": "a", "answer": "x\u2028y"}, {"clue": "b", "answer": "ü"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data/mirror").mkdir(parents=True)
    (tmp_path / "data/extra").mkdir()


def _load(tmp_path: Path, published: Any = None, **data: Any) -> Split:
    options = {"published": {"path": "quiz.jsonl", "url": URL, **(published or {})}, **data}
    settings = SourceSettings(data_dir=tmp_path / "data")
    return load_split(DataOptions.model_validate(options), "test", settings=settings)


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (LINES, {}),
        (json.dumps(ROWS), {}),
        (json.dumps({"name": "quiz", "examples": ROWS}, indent=1), {"rows": "examples"}),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_forms(tmp_path: Path, text: str, published: Any, *, zipped: bool) -> None:
    file = tmp_path / f"data/extra/quiz.jsonl{'.gz' * zipped}"
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    split = _load(tmp_path, published)
    assert split.rows == ROWS
    assert (split.total, list(split.indices)) == (2, [0, 1])
    assert str(split.source) == "extra/quiz.jsonl (published), 2 of 2 rows"


def test_a_copy_in_part_says_which_rows_it_has(tmp_path: Path) -> None:
    (tmp_path / "data/extra/quiz.jsonl").write_text(LINES)
    (tmp_path / "data/extra/quiz.indices.json").write_text(json.dumps({"indices": [3, 7], "source_rows": 9}))
    split = _load(tmp_path)
    assert (list(split.indices), split.total) == ([3, 7], 9)
    assert _load(tmp_path, rows={"test": 20}).total == 20


def test_columns_of_the_object_and_subsets(tmp_path: Path) -> None:
    (tmp_path / "data/extra/quiz.jsonl").write_text(json.dumps({"prefix": "p", "examples": ROWS}))
    split = _load(tmp_path, {"rows": "examples", "columns": ["prefix"]})
    assert [row["prefix"] for row in split.rows] == ["p", "p"]
    with pytest.raises(DataError, match="the object has no 'suffix'"):
        _load(tmp_path, {"rows": "examples", "columns": ["suffix"]})


@pytest.mark.parametrize(
    ("text", "published", "message"),
    [
        ("{}\n{\n", {}, r"extra/quiz\.jsonl, line 2: not JSON"),
        ("[1, 2]", {}, "must be lines of JSON objects, a list of them"),
        ('{"rows": []}', {"rows": "examples"}, "one object with such a list as 'examples'"),
        ("[]", {}, "has no rows"),
    ],
)
def test_faulty_files(tmp_path: Path, text: str, published: Any, message: str) -> None:
    (tmp_path / "data/extra/quiz.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        _load(tmp_path, published)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"the rows of quiz\.jsonl are missing; tried: extra/quiz\.jsonl"):
        _load(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"hub": "a/b"}, "one source is needed but hub and published is given"),
        ({"subsets": {"all": ["a"]}}, "subsets are given beside published"),
        ({"published": {"path": "p", "url": URL, "columns": ["a"]}}, "name its list of rows under rows"),
    ],
)
def test_faulty_options(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataOptions.model_validate({"published": {"path": "p", "url": URL}, **data})
