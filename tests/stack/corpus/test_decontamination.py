"""Items of benchmarks are found in documents, in whole and in spans: measured on planted ones (must-show 5)."""

from __future__ import annotations

import json

import pytest
from stack.corpus.built import Make, outcomes
from stack.corpus.planted import Contaminated, benchmark

from evalharness.stack.corpus.decontamination import BenchmarkItem, pieces_without, read_benchmarks
from evalharness.stack.corpus.options import DecontaminationOptions
from evalharness.stack.corpus.words import word_hashes, word_spans

ITEM = "which of the seven grey herons by the old mill pond was the first to fly away that morning"


def items_of(planted: Contaminated) -> list[BenchmarkItem]:
    return [BenchmarkItem("herons", name, [text, "yes"]) for name, text in planted.items.items()]


def test_planted_items_are_found_and_near_misses_are_not(make: Make) -> None:
    planted = benchmark(seed=11)
    corpus = make(
        planted.texts.values(),
        items=items_of(planted),
        decontamination={"tasks": ["herons"], "ngram": 13, "shortest": 13},
    )
    said = dict(zip(planted.texts, outcomes(corpus), strict=True))
    found = {name: line["items"] for name, line in said.items() if line["outcome"] == "contaminated"}
    right = {name for name, items in found.items() if planted.holds.get(name) == items[0][1]}
    assert len(planted.texts) == 300
    assert len(right) / len(found) == 1  # precision
    assert len(right) / len(planted.holds) == 1  # recall
    facts = corpus.facts["benchmarks"]["herons"]
    assert facts == {"ngram": 13, "items": 50, "too_short": 0, "found": 50, "matches": 150}


def test_by_shares_a_part_of_an_item_is_not_enough(make: Make) -> None:
    planted = benchmark(seed=12)
    corpus = make(
        planted.texts.values(),
        items=items_of(planted),
        decontamination={"tasks": ["herons"], "ngram": 8, "rule": "share", "share": 0.7},
    )
    said = dict(zip(planted.texts, outcomes(corpus), strict=True))
    found = {name for name, line in said.items() if line["outcome"] == "contaminated"}
    assert found == {name for name in planted.texts if name.startswith(("whole", "shouted"))}


def test_the_texts_of_items_are_written_nowhere(make: Make) -> None:
    corpus = make(
        [ITEM + " indeed"], items=[BenchmarkItem("herons", "17", [ITEM])], decontamination={"tasks": ["herons"]}
    )
    assert json.loads((corpus.folder / "contaminated.json").read_text()) == {"herons": ["17"]}
    for path in corpus.folder.rglob("*"):
        assert path.is_dir() or b"mill pond" not in path.read_bytes()


def test_short_items_are_looked_for_by_fewer_words_and_shorter_ones_are_counted() -> None:
    options = DecontaminationOptions(tasks=("t",))
    texts = ["one two three four five six seven eight nine ten"] * 39 + ["too short"]
    benchmarks = read_benchmarks([BenchmarkItem("t", str(n), [text]) for n, text in enumerate(texts)], options)
    facts = benchmarks.tasks["t"]
    assert (facts.ngram, facts.items, facts.too_short) == (10, 40, 1)
    assert benchmarks.hits(word_hashes("zero one two three four five six seven eight nine eleven")) is None
    hits = benchmarks.hits(word_hashes("zero One, two three: four five six seven eight nine TEN eleven"))
    assert hits is not None
    assert hits.items == tuple(range(39))
    assert hits.spans == ((1, 11),)


def test_no_match_goes_from_one_text_of_an_item_into_the_next() -> None:
    options = DecontaminationOptions(tasks=("t",), ngram=4, shortest=4)
    benchmarks = read_benchmarks([BenchmarkItem("t", "0", ["one two three four", "five six seven eight"])], options)
    assert benchmarks.hits(word_hashes("three four five six")) is None
    assert benchmarks.hits(word_hashes("five six seven eight")) is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"remove": "span", "margin": 0, "shortest_piece": 1}, ["before: ", " after"]),
        ({"remove": "span", "margin": 2, "shortest_piece": 1}, ["before", "fter"]),
        ({"remove": "span", "margin": 0, "shortest_piece": 8}, ["before: "]),
        ({"remove": "span", "margin": 0, "shortest_piece": 1, "most_pieces": 1}, []),
    ],
)
def test_what_is_left_of_a_document(changes: dict[str, object], expected: list[str]) -> None:
    options = DecontaminationOptions.model_validate({"tasks": ("t",), "ngram": 13, **changes})
    text = f"before: {ITEM.upper()}! after"
    benchmarks = read_benchmarks([BenchmarkItem("t", "0", [ITEM])], options)
    hits = benchmarks.hits(word_hashes(text))
    assert hits is not None
    assert pieces_without(text, hits, options) == expected


def test_pieces_become_documents(make: Make) -> None:
    text = "a" * 300 + f" {ITEM} " + "b" * 300
    corpus = make(
        [text],
        items=[BenchmarkItem("herons", "1", [ITEM])],
        decontamination={"tasks": ["herons"], "remove": "span", "margin": 10},
    )
    shards = corpus.sources["texts"]
    assert [bytes(shards.document(number).tolist()[:-1]) for number in range(2)] == [b"a" * 291, b"b" * 291]
    assert outcomes(corpus) == [
        {"document": "texts.jsonl:1", "outcome": "cut", "items": [["herons", "1"]], "pieces": 2}
    ]


@pytest.mark.parametrize(
    "text", ["Don't stop -- now! 3.5 km", "日本語 と English", "a_b  c\u00a0d\n\ne", "", "…", "ÄÖ ß İ"]
)
def test_spans_are_of_the_words_that_are_hashed(text: str) -> None:
    spans = word_spans(text)
    assert len(spans) == len(word_hashes(text))
    for (start, stop), value in zip(spans, word_hashes(text), strict=True):
        assert word_hashes(text[start:stop])[0] == value
