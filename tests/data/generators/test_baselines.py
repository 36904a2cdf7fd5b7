"""The baselines are the ones they say, and lengths give nothing away."""

from __future__ import annotations

import pytest

from evalharness import registry
from evalharness.data.generators.baselines import baselines
from evalharness.data.generators.splits import PEOPLE
from evalharness.errors import UsageError


@pytest.mark.parametrize("split", PEOPLE)
def test_lengths_do_not_tell_how_the_coin_lies(split: str) -> None:
    scores = baselines("coin_flip", split)
    assert scores["constant"] == 0.5
    assert scores["linear_on_lengths"] < 0.56


@pytest.mark.parametrize("split", PEOPLE)
def test_lengths_do_not_tell_the_last_letters(split: str) -> None:
    scores = baselines("last_letter_concatenation", split)
    assert scores["constant"] < 0.06
    assert scores["linear_on_lengths"] < 0.06


def test_the_linear_model_finds_an_answer_that_lengths_do_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(split: str) -> list[dict[str, object]]:
        # Lengths 3 and 7 in no order, the answer decided by the length; "short" three times as often.
        names = ["Amy" if number * 7 % 4 else "Matthew" for number in range(200)]
        return [
            {"question": f"Is {name} short?", "answer": "yes" if name == "Amy" else "no", "names": [name]}
            for name in names
        ]

    monkeypatch.setattr("evalharness.data.generators.baselines.lookup", lambda kind, name: leaky)
    assert baselines("leaky", "test") == {"constant": 0.75, "linear_on_lengths": 1.0, "look_up": 1.0}


def test_a_logistic_model_of_another_library_finds_no_more() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    selection = pytest.importorskip("sklearn.model_selection")
    rows = registry.lookup("generator", "coin_flip")("test_3")
    features = [[len(row["question"]), *map(len, row["names"])] for row in rows]
    answers = [row["answer"] for row in rows]
    scores = selection.cross_val_score(linear_model.LogisticRegression(max_iter=1000), features, answers, cv=5)
    assert scores.mean() < 0.56


def test_an_unknown_generator_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'coin_flip'"):
        baselines("coin_flp", "test")
