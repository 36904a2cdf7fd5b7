"""Tables beside a data set: found once, named by their content, read back from the cache."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from data.conftest import MirrorWriter

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.data.tables import read_table
from evalharness.errors import DataError, DiskError

TABLE = [{"name": "a", "kind": "x", "more": 1}, {"name": "b", "kind": "ü\u2028", "more": [2]}]
OPTIONS: Any = {
    "hub": "org/sums",
    "tables": {
        "kinds": {"path": "org/kinds.jsonl", "url": "http://127.0.0.1:9/kinds.jsonl", "columns": ["name", "kind"]}
    },
}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MirrorWriter:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = MirrorWriter(tmp_path / "data/mirror")
    written.split("org/sums/default/test", [{"question": "1 + 1?"}, {"question": "2 + 2?"}])
    return written


def _load(mirror: MirrorWriter, options: Any = OPTIONS) -> Any:
    settings = SourceSettings(data_dir=mirror.root.parent)
    return load_split(DataOptions.model_validate(options), "test", settings=settings)


def _extra(mirror: MirrorWriter, content: bytes, name: str = "kinds.jsonl") -> None:
    path = mirror.root.parent / "extra/org" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _jsonl(rows: list[dict[str, Any]], **options: Any) -> bytes:
    return "".join(json.dumps(row, **options) + "\n" for row in rows).encode()


def test_every_row_names_the_table_by_its_content(mirror: MirrorWriter) -> None:
    _extra(mirror, _jsonl(TABLE, ensure_ascii=False))
    first, second = _load(mirror).rows
    assert first["kinds"] == second["kinds"]
    assert read_table(first["kinds"]) == (("a", "x"), ("b", "ü\u2028"))


def test_the_name_is_that_of_the_columns_not_of_the_file(mirror: MirrorWriter) -> None:
    _extra(mirror, _jsonl(TABLE))
    name = _load(mirror).rows[0]["kinds"]
    other = [{"kind": row["kind"], "name": row["name"], "more": None} for row in TABLE]
    (mirror.root.parent / "extra/org/kinds.jsonl").unlink()
    _extra(mirror, gzip.compress(_jsonl(other, indent=None)), "kinds.jsonl.gz")
    assert _load(mirror).rows[0]["kinds"] == name
    _extra(mirror, gzip.compress(_jsonl(other[:1])), "kinds.jsonl.gz")
    assert _load(mirror).rows[0]["kinds"] != name


def test_a_table_that_is_nowhere(mirror: MirrorWriter) -> None:
    sentence = (
        r"the rows of the table org/kinds.jsonl are missing; tried: extra/org/kinds.jsonl .*HF_HUB_OFFLINE is set"
    )
    with pytest.raises(MissingDataError, match=sentence):
        _load(mirror)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"name": "a", "kind": 1}\n{"name": "b"}\n', "kinds.jsonl, line 2: no JSON object with name and kind"),
        (b"[1]\n", "kinds.jsonl, line 1: no JSON object"),
        (b"{\n", "kinds.jsonl, line 1: no JSON object"),
        (b'{"name": "a", "kind": NaN}\n', "kinds.jsonl, line 1: no JSON object"),
        (b"\xff\n", "kinds.jsonl: cannot be read"),
    ],
)
def test_a_malformed_table(mirror: MirrorWriter, content: bytes, sentence: str) -> None:
    _extra(mirror, content)
    with pytest.raises(DataError, match=sentence):
        _load(mirror)


def test_a_column_of_that_name(mirror: MirrorWriter) -> None:
    _extra(mirror, _jsonl(TABLE))
    tables = {"question": OPTIONS["tables"]["kinds"]}
    with pytest.raises(DataError, match="there is a column 'question' already"):
        _load(mirror, {**OPTIONS, "tables": tables})


def test_a_cache_that_cannot_be_written(mirror: MirrorWriter, tmp_path: Path) -> None:
    _extra(mirror, _jsonl(TABLE))
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DiskError, match=r"the table cannot be kept .*set XDG_CACHE_HOME"):
        _load(mirror)


def test_a_table_that_is_not_in_the_cache(mirror: MirrorWriter) -> None:
    for name in ("1" * 64, "../../etc/passwd"):
        with pytest.raises(DataError, match=r"is not in the cache .*run the task once with its data at hand"):
            read_table(name)
