"""Documents are read as they stand, from text, JSON lines and parquet, whole or broken."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from evalharness.stack.corpus.documents import Document, files_of, read_documents, read_source
from evalharness.stack.corpus.options import SourceOptions
from evalharness.stack.errors import CorpusError


def source(**options: Any) -> SourceOptions:
    return SourceOptions.model_validate({"name": "s", "paths": ["."], **options})


def texts(path: Path, **options: Any) -> list[tuple[int, str | None]]:
    return [(document.number, document.text) for document in read_documents(path, source(**options))]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("file", [(1, "one\ntwo\n\n\nthree ä\n \nfour")]),
        ("line", [(1, "one"), (2, "two"), (3, ""), (4, ""), (5, "three ä"), (6, " "), (7, "four")]),
        ("paragraph", [(1, "one\ntwo"), (2, "three ä"), (3, "four")]),
    ],
)
def test_text_is_a_document_a_file_a_line_or_a_paragraph(
    tmp_path: Path, unit: str, expected: list[Any], suffix: str
) -> None:
    data = "\ufeffone\r\ntwo\r\n\r\n\nthree ä\n \nfour".encode()
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    assert texts(path, unit=unit) == expected


def test_json_lines_have_their_text_under_a_key(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "one\\ntwo", "n": 1}\n\n{"body": null}\n{"body": "half \\ud800 pair"}\n')
    assert texts(path, text="body") == [(1, "one\ntwo"), (3, ""), (4, "half \ufffd\ufffd\ufffd pair")]


def test_parquet_has_its_text_in_a_column(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    rows = [f"row {number}" for number in range(1000)]
    parquet.write_table(pyarrow.table({"text": [*rows, None], "other": list(range(1001))}), path)
    assert texts(path) == [*((number + 1, row) for number, row in enumerate(rows)), (1001, "")]
    with pytest.raises(CorpusError, match=r"a.parquet: there is no 'body'; there are: text, other\."):
        texts(path, text="body")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorpusError, match=r"not a whole parquet file"):
        texts(path)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [("drop", [(1, "a"), (2, None), (3, "c")]), ("replace", [(1, "a"), (2, "\ufffdb"), (3, "c")])],
)
def test_broken_utf8_is_left_out_or_replaced(tmp_path: Path, broken: str, expected: list[Any]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n\xffb\nc\n")
    assert texts(path, unit="line", broken=broken) == expected


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        (
            "a.txt",
            b"a\nb\xffc\n",
            {"unit": "line", "broken": "error"},
            r"document 2: byte 1 \(0xff\) is no UTF-8; mend it",
        ),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b\n', {"broken": "error"}, r"a.jsonl:2: not valid JSON .*; mend it"),
        ("a.jsonl", b"[1]\n", {}, r"a.jsonl:1: a list; each line must hold a JSON object"),
        ("a.jsonl", b'{"body": "a"}\n', {}, r"a.jsonl:1: there is no 'text'; there are: body"),
        ("a.jsonl", b'{"text": 3}\n', {}, r"a.jsonl:1: 'text' holds a int"),
        ("a.txt.gz", gzip.compress(b"text" * 1000, mtime=0)[:-12], {}, r"damaged or cut off"),
        ("a.txt.gz", b"no gzip", {}, r"damaged or cut off"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, name: str, data: bytes, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        texts(path, **options)


def test_a_line_that_is_no_json_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": \n{"text": "c"}\n' + b"[" * 100_000 + b"\n")
    assert texts(path) == [(1, "a"), (2, None), (3, "c"), (4, None)]


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in files:
        path.write_text("1\n2\n3\n")
    every = list(read_source(files, source(unit="line"), (0, 0)))
    assert every[4] == Document(2, "2", file=1, ordinal=2)
    for done, document in enumerate(every, 1):
        assert list(read_source(files, source(unit="line"), (document.file, document.ordinal))) == every[done:]


def test_paths_are_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.md", "deep/d.jsonl.gz", "deep/picture.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(*paths: str) -> list[str]:
        return [path.name for path in files_of(source(paths=paths), tmp_path)]

    assert found("*.txt", "a.txt") == ["a.txt", "b.txt"]
    assert found("deep") == ["c.md", "d.jsonl.gz"]
    assert found("b.txt", "**/*.md") == ["b.txt", "c.md"]
    assert found(str(tmp_path / "*.txt")) == ["a.txt", "b.txt"]
    with pytest.raises(CorpusError, match=r"picture.png: the suffix says no format; give format"):
        found("deep/*")
