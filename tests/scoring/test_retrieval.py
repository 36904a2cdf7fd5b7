"""recall@k on small cases."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.answers.text import TextParser
from evalharness.errors import DataError
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.scoring.retrieval import RetrievalRecall
from evalharness.types import Attempt, Reference, Score

SAID = Attempt(calls=(), candidates=("anything",))


def _score(passages: Any, *targets: str, **options: Any) -> Score:
    reference = Reference(target=targets, facts={"passages": passages})
    return RetrievalRecall(**options).score(SAID, reference, None, None)


@pytest.mark.parametrize(
    ("passage", "target", "held"),
    [
        ("The tower stands in Paris.", "paris", True),
        ("The tower stands in Paris.", "Pari", False),
        ("He was born in New York City.", "new  york", True),
        ("A new road to York.", "New York", False),
        ("It was $5.50 then.", "5.50", True),
        ("It was 5,50 then.", "5.50", False),
        ("Jay-Z sang.", "jay-z", True),
        ("Jay Z sang.", "jay-z", False),
        ("Café Zoë", "ZOË", True),
        ("Cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", True),
        ("Café", "Cafe", False),
        ("snake_case", "snake", True),
        ("東京タワー", "東京タワー", True),
        ("The two of them", "two", True),
        ("anything", "", False),
        ("anything", " \n", False),
        ("", "anything", False),
        ("why? because", "?", True),
    ],
)
def test_whole_words_are_looked_for(passage: str, target: str, held: bool) -> None:
    assert _score([passage], target).value == held


def test_any_target_in_any_of_the_first_k_counts() -> None:
    passages = ["Rome.", "Milan.", "The Eternal City.", "Turin."]
    assert [_score(passages, "Turin", "the eternal city", k=k).value for k in (1, 2, 3, 4, 9)] == [0, 0, 1, 1, 1]
    found = _score(passages, "Turin", "the eternal city", k=4)
    assert found.explanation == "passage 3 holds 'the eternal city'"
    assert _score([], "Rome").value == 0.0


def test_several_k_stand_beside_each_other() -> None:
    specs = [{"metric": "retrieval_recall", "k": k} for k in (1, 5)] + [{"metric": "retrieval_recall", "label": "held"}]
    metrics = build_metrics(specs, "metrics")
    assert [metric.name for metric in metrics] == ["retrieval_recall@1", "retrieval_recall@5", "held"]
    reference = Reference(target="Rome", facts={"passages": ["Milan.", "Rome."]})
    scores = Scorer(TextParser(), metrics).score(SAID, reference).scores
    assert {name: score.value for name, score in scores.items()} == {
        "retrieval_recall@1": 0, "retrieval_recall@5": 1, "held": 1,
    }  # fmt: skip


def test_the_answer_plays_no_part() -> None:
    reference = Reference(target="Rome", facts={"passages": ["Rome."]})
    values = [
        RetrievalRecall().score(Attempt(calls=(), candidates=(said,)), reference, None, None) for said in ("Rome", "x")
    ]
    assert [score.value for score in values] == [1, 1]


@pytest.mark.parametrize("facts", [{}, {"passages": 5}, {"passages": [{"text": "Rome."}]}])
def test_facts_that_are_no_passages(facts: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="'passages'"):
        RetrievalRecall().score(SAID, Reference(target="Rome", facts=facts), None, None)
