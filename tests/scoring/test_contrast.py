"""Overlap with true and with false references; the numbers are counted by hand."""

from __future__ import annotations

import pytest

from evalharness.errors import DataError
from evalharness.scoring.contrast import Measure, ReferenceContrast
from evalharness.types import Attempt, Parsed, Reference

pytest.importorskip("rouge_score")
pytest.importorskip("sacrebleu")
REFERENCE = Reference(
    target=("The moon is made of rock.", "I have no comment."), facts={"wrong": ["The moon is made of old cheese."]}
)


def worth(said: str | None, measure: Measure, value: str, reference: Reference = REFERENCE) -> float:
    metric = ReferenceContrast.model_validate({"measure": measure, "value": value})
    return metric.score(Attempt(calls=()), reference, Parsed(said), None).value


def test_rouge_by_hand() -> None:
    """Of 6 words said, 5 stand in a right text of 6, and 6 in the wrong one of 7."""
    said = "the moon is made of cheese"
    assert worth(said, "rouge1", "max") == pytest.approx(100 * 5 / 6)
    assert worth(said, "rouge1", "diff") == pytest.approx(100 * (5 / 6 - 12 / 13))
    assert worth(said, "rouge1", "acc") == 0.0
    # Pairs of words: 4 of 5 and 5, against 4 of 5 and 6.
    assert worth(said, "rouge2", "diff") == pytest.approx(100 * (4 / 5 - 2 * 4 / 11))
    assert worth(said, "rouge2", "acc") == 1.0


def test_bleu_of_a_short_text_is_none() -> None:
    assert worth("The moon is made of rock.", "bleu", "max") == pytest.approx(100)
    assert worth("Of rock", "bleu", "max") == 0.0
    assert worth("Of rock", "bleu", "acc") == 0.0, "0 is not nearer than 0"


def test_the_nearest_reference_counts() -> None:
    assert worth("I have no comment.", "rougeLsum", "max") == pytest.approx(100)
    assert worth("I have no comment.", "rougeLsum", "acc") == 1.0


@pytest.mark.parametrize("measure", ["bleu", "rouge1", "rouge2", "rougeLsum"])
def test_no_answer_is_as_far_from_both(measure: Measure) -> None:
    assert [worth(None, measure, value) for value in ("max", "diff", "acc")] == [0.0, 0.0, 0.0]


def test_what_is_missing_is_told() -> None:
    with pytest.raises(DataError, match="reads the fact 'wrong'"):
        worth("a", "rouge1", "acc", Reference(target="a"))
    with pytest.raises(DataError, match="needs texts as fact 'wrong'"):
        worth("a", "rouge1", "acc", Reference(target="a", facts={"wrong": []}))
    with pytest.raises(DataError, match="needs texts as targets"):
        worth("a", "rouge1", "max", Reference(target=3))


def test_the_signature_names_the_library() -> None:
    assert "tok:intl" in str(ReferenceContrast(measure="bleu").signature)
    assert str(ReferenceContrast(measure="rougeLsum").signature).startswith("rougeLsum|f1|stemmer:no")
