"""A column of passages for each question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.data.samples import samples
from evalharness.data.settings import MissingDataError
from evalharness.data.sources import load_split
from evalharness.errors import DataError
from evalharness.options import parse_options

QUESTIONS = [{"q": "Where is the iron bridge?"}, {"q": "Who sold salt?"}, {"q": "Why?"}]
TEXTS = [("Bridge", "The iron bridge is in Ales."), ("", "Ada sold salt."), ("", "The bridge is old.")]
RETRIEVE: dict[str, Any] = {
    "corpus": {"sources": [{"data": {"file": "texts.jsonl"}, "text": "text", "title": "title"}]},
    "query": "q",
    "k": 2,
}


def _load(folder: Path, rows: list[Any] = QUESTIONS, split: str = "test", **changes: Any) -> Any:
    for name, lines in (("test", rows), ("train", rows), ("texts", [{"title": t, "text": x} for t, x in TEXTS])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = {"file": "{split}.jsonl", "retrieve": {**RETRIEVE, **changes}}
    return load_split(parse_options(DataOptions, options, "data"), split, base_dir=folder)


def test_each_row_gets_the_best_passages(tmp_path: Path) -> None:
    split = _load(tmp_path)
    assert [[passage["text"] for passage in row["passages"]] for row in split.rows] == [
        ["The iron bridge is in Ales.", "The bridge is old."], ["Ada sold salt."], [],
    ]  # fmt: skip
    assert split.rows[0]["passages"][0].keys() == {"id", "title", "text"}
    assert split.rows[0]["q"] == QUESTIONS[0]["q"]


def test_the_source_says_which_corpus(tmp_path: Path) -> None:
    used = _load(tmp_path).source.corpus
    assert (used.passages, len(used.fingerprint)) == (3, 64)
    assert [str(source) for source in used.sources] == [f"{tmp_path / 'texts.jsonl'} (file), 3 of 3 rows"]


def test_content_hashes_cover_the_passages(tmp_path: Path) -> None:
    def hashes(k: int) -> list[str]:
        return [sample.content_hash for sample in samples(_load(tmp_path, k=k), ["q", "passages"])]

    assert hashes(2)[0] != hashes(1)[0]
    assert hashes(2)[1:] == hashes(1)[1:]


def test_every_row_and_split_is_looked_up_by_itself(tmp_path: Path) -> None:
    """Neither their order nor their company changes what is found: a demonstration has passages like a question."""
    whole = _load(tmp_path).rows
    assert list(_load(tmp_path, QUESTIONS[::-1]).rows) == list(whole)[::-1]
    assert list(_load(tmp_path, QUESTIONS[1:2]).rows) == list(whole)[1:2]
    assert list(_load(tmp_path, split="train").rows) == list(whole)


@pytest.mark.parametrize(
    ("rows", "changes", "sentence"),
    [
        (QUESTIONS, {"into": "q"}, r"a column 'q' already; name data\.retrieve\.into another way"),
        (QUESTIONS, {"query": "question"}, "no column 'question'; known: q"),
        ([{"q": 5}], {}, "column 'q' holds 5, but data.retrieve.query is the column of a text"),
    ],
)
def test_rows_that_cannot_be_looked_up(tmp_path: Path, rows: Any, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        _load(tmp_path, rows, **changes)


def test_a_corpus_that_is_nowhere(tmp_path: Path) -> None:
    corpus = {"sources": [{"data": {"hub": "org/no-such-pages"}, "text": "page"}]}
    with pytest.raises(MissingDataError, match=r"^the corpus of data\.retrieve is not complete: .*org/no-such-pages"):
        _load(tmp_path, corpus=corpus)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"k": 0}, "retrieve.k: Input should be greater than 0"),
        ({"corpus": {}}, "retrieve.corpus: a corpus needs passages"),
        ({"querry": "q"}, "retrieve.querry: unknown key; did you mean 'query'"),
    ],
)
def test_options_of_no_retrieval(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        _load(tmp_path, **changes)
