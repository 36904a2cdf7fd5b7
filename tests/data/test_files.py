"""Every kind of file gives the same rows, and a broken one says where it is broken."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.data.files import read_rows
from evalharness.errors import DataError

ROWS = [
    {"question": "How many, and why?", "answer": 'She said "two".\nThen left.', "note": "naïve \u2028 text"},
    {"question": "", "answer": "3", "note": "|"},
]


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)


def _write_parquet(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(ROWS).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.jsonl", lambda path: path.write_bytes(_jsonl(ROWS))),
        ("rows.jsonl.gz", lambda path: path.write_bytes(gzip.compress(_jsonl(ROWS)))),
        ("rows.json", lambda path: path.write_bytes(_jsonl(ROWS))),
        ("windows.jsonl", lambda path: path.write_bytes(b"\xef\xbb\xbf" + _jsonl(ROWS).replace(b"}\n", b"}\r\n\r\n"))),
        ("rows.csv", _write_csv),
        ("rows.parquet", _write_parquet),
    ],
)
def test_each_format_gives_the_rows(name: str, write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path / name)
    assert read_rows(tmp_path / name) == ROWS


def test_gzipped_csv(tmp_path: Path) -> None:
    _write_csv(tmp_path / "rows.csv")
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    assert read_rows(tmp_path / "rows.csv.gz") == ROWS


def test_jsonl_and_parquet_keep_types_and_csv_keeps_text(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    row = {"label": 2, "choices": ["a", "b"], "nothing": None, "weight": 0.5, "right": True}
    (tmp_path / "rows.jsonl").write_bytes(_jsonl([row]))
    pandas.DataFrame([row]).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("label,answer\n2,007\n")
    for name in ("rows.jsonl", "rows.parquet"):
        (read,) = read_rows(tmp_path / name)
        assert read == row
        assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in row.items()}
    assert read_rows(tmp_path / "rows.csv") == [{"label": "2", "answer": "007"}]


def test_a_cell_longer_than_the_csv_module_allows_by_itself(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\n" + "a" * 200_000 + "\n")
    assert len(read_rows(tmp_path / "rows.csv")[0]["text"]) == 200_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.floats(allow_nan=False)), min_size=1),
        max_size=5,
    )
)
def test_any_json_rows_come_back(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("rows.jsonl", b'{"a": 1}\n\n{"a": \n', "rows.jsonl, line 3: not JSON"),
        ("rows.json", b'[{"a": 1}]', "rows.json, line 1: a JSON list; each line is one JSON object"),
        ("rows.jsonl", b'{"a": 1}\n[1]\n', "rows.jsonl, line 2: a JSON list; each line is one JSON object"),
        ("rows.jsonl", b'{"a": "\xff"}\n', "rows.jsonl: not UTF-8"),
        ("rows.jsonl.gz", gzip.compress(_jsonl(ROWS), mtime=0)[:-12], "rows.jsonl.gz: cannot be read"),
        ("rows.jsonl.gz", b"not gzip", "rows.jsonl.gz: cannot be read"),
        ("rows.csv", b"a,b\n1,2\n1,2,3\n", "rows.csv, line 3: 3 cells, but the header names 2 columns"),
        ("rows.csv", b"a,a\n1,2\n", "rows.csv, line 1: a column name is repeated"),
        ("rows.csv", b'a,b\n1,"2\n', "rows.csv, line 2: not csv"),
        ("rows.parquet", b"PAR1 nothing", "rows.parquet: not a parquet file"),
        ("rows.xlsx", b"", "rows.xlsx: not a file of rows; its name must end in one of .jsonl.gz, .jsonl"),
    ],
)
def test_broken_files_say_where(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_rows(tmp_path / name)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
