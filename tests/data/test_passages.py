"""Columns become passages: texts, lists of texts, lists of sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import CorpusOptions
from evalharness.data.passages import Passage, read_passages
from evalharness.data.settings import SourceSettings
from evalharness.errors import DataError
from evalharness.options import parse_options


def _read(folder: Path, rows: list[Any], **part: Any) -> list[Passage]:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"data": {"file": "rows.jsonl"}, "text": "text", **part}
    return read_passages(parse_options(CorpusOptions, {"sources": [source]}, "corpus"), SourceSettings(), folder)[0]


@pytest.mark.parametrize(
    ("row", "part", "passages"),
    [
        ({"text": " a\n b "}, {}, [("", "a b")]),
        ({"text": ["a", "b", ""]}, {}, [("", "a"), ("", "b")]),
        ({"text": [["a.", " b."], ["c."]], "name": ["A", "C"]}, {"title": "name"}, [("A", "a. b."), ("C", "c.")]),
        ({"text": ["a", "b"], "name": "N"}, {"title": "name"}, [("N", "a"), ("N", "b")]),
        ({"pages": {"text": ["a"]}}, {"text": "pages.text"}, [("", "a")]),
        ({"pages": [{"text": "a", "t": "A"}, {"text": "b", "t": "B"}]}, {"text": "pages.text", "title": "pages.t"},
         [("A", "a"), ("B", "b")]),
        ({"text": "a b c d e", "name": "N"}, {"words": 2, "title": "name"}, [("N", "a b"), ("N", "c d"), ("N", "e")]),
    ],
)  # fmt: skip
def test_passages_of_a_row(tmp_path: Path, row: Any, part: dict[str, Any], passages: list[tuple[str, str]]) -> None:
    assert _read(tmp_path, [row], **part) == [Passage(*each) for each in passages]


@pytest.mark.parametrize(
    ("row", "part", "sentence"),
    [
        ({"txt": "a"}, {}, r"rows\.jsonl: a row of split 'test': no column 'text'; did you mean 'txt'"),
        ({"text": "a"}, {"text": "text.more"}, r"no column 'text\.more'\."),
        ({"text": 5}, {}, "column 'text' holds 5, but passages are made of texts"),
        ({"text": [["a"], 5]}, {}, r"column 'text' holds \[\['a'\], 5\]"),
        ({"text": ["a", "b"], "n": ["A", "B", "C"]}, {"title": "n"}, "3 titles in column 'n' for 2 texts in column 't"),
        ({"text": " "}, {}, "column 'text' of split 'test' holds no text for a passage"),
    ],
)
def test_rows_that_hold_no_passages(tmp_path: Path, row: Any, part: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as refused:
        _read(tmp_path, [row], **part)
    assert "\n" not in str(refused.value)


def test_an_id_is_of_title_and_text() -> None:
    ids = {Passage(title, text).id for title, text in (("", "a"), ("a", ""), ("a", "a"), ("", "a"))}
    assert len(ids) == 3
    assert {len(each) for each in ids} == {16}
