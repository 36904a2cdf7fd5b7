"""BM25 over passages: against the formula, and whatever order the passages come in."""

from __future__ import annotations

import builtins
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from data.conftest import MirrorWriter
from hypothesis import given
from hypothesis import strategies as st

from evalharness.data.corpus import Corpus, load_corpus
from evalharness.data.options import CorpusOptions
from evalharness.data.passages import Passage
from evalharness.data.settings import MissingDataError, SourceSettings
from evalharness.errors import DataError, ServiceError
from evalharness.options import parse_options

WORDS = ["river", "tower", "queen", "iron", "salt", "coast", "year", "bridge", "opera", "north", "the", "of"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def _corpus(*texts: str, **options: Any) -> Corpus:
    return Corpus([Passage("", text) for text in texts], **options)


def _bm25(query: str, texts: list[str], k1: float, b: float) -> dict[str, float]:
    """The formula of the docstring, term by term, in Python's own floats."""
    stop = {"the", "of"}
    documents = {text: [w for w in re.findall(r"\w+", text.lower()) if w not in stop] for text in set(texts)}
    mean = sum(map(len, documents.values())) / len(documents)
    scores = dict.fromkeys(documents, 0.0)
    for word in (w for w in re.findall(r"\w+", query.lower()) if w not in stop):
        having = sum(word in words for words in documents.values())
        for text, words in documents.items():
            often = Counter(words)[word]
            weight = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            scores[text] += weight * often / (often + k1 * (1 - b + b * len(words) / mean)) if often else 0.0
    return scores


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.5, 0.75), (0.0, 0.0), (2.0, 1.0)])
def test_scores_are_those_of_the_formula(k1: float, b: float) -> None:
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(120)]
    corpus = _corpus(*texts, k1=k1, b=b)
    for _ in range(20):
        query = " ".join(draw.choices(WORDS, k=draw.randint(1, 6)))
        wanted = _bm25(query, texts, k1, b)
        hits = corpus.search(query, 1_000)
        assert {hit.text for hit in hits} == {text for text, score in wanted.items() if score > 0}
        for hit in hits:
            assert hit.score == pytest.approx(wanted[hit.text], rel=1e-5)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert corpus.search(query, 3) == hits[:3]


@given(st.lists(SENTENCES, min_size=1, max_size=12), SENTENCES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_order_of_the_passages_changes_nothing(texts: list[str], query: str, k: int, draw: random.Random) -> None:
    shuffled = draw.sample(texts, len(texts)) + texts[:1]  # and neither does a passage that comes twice
    one, other = _corpus(*texts), _corpus(*shuffled)
    assert one.search(query, k) == other.search(query, k)
    assert (one.fingerprint, len(one)) == (other.fingerprint, len(other))


def test_queries_do_not_touch_each_other() -> None:
    corpus = _corpus("iron bridge", "salt coast", "iron coast")
    alone = [_corpus("iron bridge", "salt coast", "iron coast").search(query, 2) for query in ("iron", "salt iron")]
    assert [corpus.search(query, 2) for query in ("iron", "salt iron")] == alone
    assert [corpus.search(query, 2) for query in ("salt iron", "iron")] == alone[::-1]


def test_equally_good_passages_come_in_the_order_of_titles_and_texts() -> None:
    passages = [Passage("B", "iron one"), Passage("A", "iron two"), Passage("A", "iron one")]
    hits = Corpus(passages).search("iron", 2)
    assert [(hit.title, hit.text) for hit in hits] == [("A", "iron one"), ("A", "iron two")]
    assert hits[0].score == hits[1].score


def test_what_shares_no_word_is_not_found() -> None:
    corpus = _corpus("The iron bridge.", "Salt")
    assert [hit.text for hit in corpus.search("Is it an IRON bridge?", 5)] == ["The iron bridge."]
    for query in ("", "?!", "the of", "opera"):
        assert corpus.search(query, 5) == []


def test_a_title_is_searched_too() -> None:
    (hit,) = Corpus([Passage("Eiffel Tower", "It stands in Paris."), Passage("", "Rome.")]).search(
        "the Eiffel tower", 5
    )
    assert (hit.title, hit.text) == ("Eiffel Tower", "It stands in Paris.")


def test_a_text_of_no_words_is_a_passage_that_is_never_found() -> None:
    corpus = _corpus("...", "the of")
    assert (len(corpus), corpus.search("the iron", 3)) == (2, [])


def test_the_fingerprint_covers_passages_and_ranking() -> None:
    prints = [
        _corpus("iron").fingerprint,
        _corpus("salt").fingerprint,
        Corpus([Passage("iron", "")]).fingerprint,
        _corpus("iron", k1=1.0).fingerprint,
        _corpus("iron", b=0.5).fingerprint,
    ]
    assert len(set(prints)) == len(prints)


# --------------------------------------------------------------------------- loading


def _options(**options: Any) -> CorpusOptions:
    return parse_options(CorpusOptions, options, "corpus")


def test_a_corpus_of_several_sources(mirror: MirrorWriter, tmp_path: Path) -> None:
    mirror.split("org/pages/default/test", [{"page": "one two three four five"}, {"page": "one two"}, {"page": "six"}])
    (tmp_path / "own.jsonl").write_text('{"t": "Salt", "p": "one two"}\n{"t": "", "p": " "}\n')
    pages = {"data": {"hub": "org/pages"}, "text": "page", "take": 2, "words": 2}
    own = {"data": {"file": "own.jsonl"}, "text": "p", "title": "t"}
    corpus = load_corpus(_options(sources=[pages, own]), SourceSettings(data_dir=mirror.root), tmp_path)
    assert corpus.passages == (
        Passage("", "five"), Passage("", "one two"), Passage("", "three four"), Passage("Salt", "one two"),
    )  # fmt: skip
    assert [str(source) for source in corpus.sources] == [
        "org/pages/default/test.jsonl.gz (mirror), 3 of 3 rows",
        f"{tmp_path / 'own.jsonl'} (file), 2 of 2 rows",
    ]


def test_equal_passages_are_indexed_once(mirror: MirrorWriter) -> None:
    mirror.split("org/pages/default/test", [{"page": "a rare text of this test"}])
    options = _options(sources=[{"data": {"hub": "org/pages"}, "text": "page"}])
    one, other = (load_corpus(options, SourceSettings(data_dir=mirror.root)) for _ in range(2))
    assert one._index is other._index
    mirror.split("org/pages/default/test", [{"page": "another text of this test"}])
    assert load_corpus(options, SourceSettings(data_dir=mirror.root)).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "a corpus needs passages: give named or sources, of which neither is given"),
        ({"sources": []}, "of which neither is given"),
        ({"named": "x", "sources": [{"data": {"hub": "a/b"}, "text": "t"}]}, "of which both are given"),
        ({"named": "../x"}, "named: String should match"),
        ({"named": "x", "k1": -1}, "k1: Input should be greater than or equal to 0"),
        ({"sources": [{"data": {"hub": "a/b"}}]}, "sources.0.text: this key is required"),
        (
            {
                "sources": [
                    {
                        "data": {"hub": "a/b", "retrieve": {"corpus": {"named": "x"}, "query": "q"}},
                        "text": "t",
                    }
                ]
            },
            "data.retrieve stands in a corpus",
        ),
    ],
)
def test_options_that_make_no_corpus(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as refused:
        _options(**options)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_and_a_missing_part(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no corpus 'wikipedia_pieses' comes with .*did you mean 'wikipedia_pieces'"):
        load_corpus(_options(named="wikipedia_pieses"))
    with pytest.raises(MissingDataError, match=r"halueval_qa_one_turn\.jsonl"):
        load_corpus(_options(named="wikipedia_pieces"), SourceSettings(data_dir=tmp_path, hub=False))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any) -> Any:
        if name == "bm25s":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ServiceError, match=r"needs the package 'bm25s'; install it with pip install 'evalharness\["):
        _corpus("a text that no other test indexes")


def test_the_named_corpus_on_real_rows(real_mirror: Path) -> None:
    corpus = load_corpus(_options(named="wikipedia_pieces"), SourceSettings(data_dir=real_mirror, hub=False))
    assert len(corpus) > 1_000
    assert max(len(passage.text.split()) for passage in corpus.passages) == 100
