"""ROUGE, held against rouge-score."""

from __future__ import annotations

import random

import pytest

from evalharness.errors import DataError
from evalharness.scoring.base import build_metrics
from evalharness.scoring.summaries import Kind, Rouge
from evalharness.types import Attempt, Parsed, Reference

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
NOTHING = Attempt(calls=())
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
PIECES = ["The", "bridges", "bridge", "running", "ran", "closed,", "closing", "12", "km;", "Monday.", "é\n"]


def drawn(rng: random.Random) -> str:
    return " ".join(rng.choices(PIECES, k=rng.randint(1, 15)))


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_as_rouge_score_has_it(kind: Kind, stemmer: bool) -> None:
    rng, metric = random.Random(7), Rouge(kind=kind, stemmer=stemmer)
    oracle = rouge_scorer.RougeScorer([kind], use_stemmer=stemmer)
    for _ in range(50):
        said, right, other = drawn(rng), drawn(rng), drawn(rng)
        one = metric.score(NOTHING, Reference(target=right), Parsed(said), None).value
        assert one == oracle.score(right, said)[kind].fmeasure
        best = metric.score(NOTHING, Reference(target=(right, other)), Parsed(said), None).value
        assert best == max(one, oracle.score(other, said)[kind].fmeasure)


def test_the_stemmer_joins_forms_of_a_word() -> None:
    said, right = Parsed("bridges closed"), Reference(target="bridge closing")
    assert Rouge(kind="rouge1").score(NOTHING, right, said, None).value == 0.0
    assert Rouge(kind="rouge1", stemmer=True).score(NOTHING, right, said, None).value == 1.0


def test_lines_are_sentences_of_rouge_lsum_only() -> None:
    said, right = Parsed("b\na"), Reference(target="a\nb")
    assert Rouge(kind="rougeLsum").score(NOTHING, right, said, None).value == 1.0
    assert Rouge(kind="rougeL").score(NOTHING, right, said, None).value == 0.5


def test_the_signature_names_settings_and_version() -> None:
    found = build_metrics([{"metric": "rouge", "label": kind, "kind": kind} for kind in KINDS], "test")
    assert str(found[0].signature).startswith("rouge1|f1|stemmer:no|rouge-score:")


def test_without_an_answer_and_without_a_text() -> None:
    found = Rouge().score(NOTHING, Reference(target="a"), Parsed(None, why="the text is empty"), None)
    assert (found.value, found.explanation) == (0.0, "the text is empty")
    with pytest.raises(DataError, match="the metric rouge needs right texts"):
        Rouge().score(NOTHING, Reference(target=1), Parsed("a"), None)
