import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from evalharness.errors import DataError
from evalharness.scoring.choices import (
    Accuracy,
    AccuracyByBytes,
    AccuracyByCharacters,
    GreedyChoice,
    LikeliestChoice,
    ProbabilityMass,
)
from evalharness.types import Attempt, Likelihood, Reference, Score

METRICS = [Accuracy(), AccuracyByCharacters(), AccuracyByBytes()]


def score(metric: LikeliestChoice, totals: list[float], choices: list[str], gold: object) -> Score:
    attempt = Attempt(calls=(), likelihoods=tuple(Likelihood((total,), (False,)) for total in totals))
    return metric.score(attempt, Reference(target=gold, choices=tuple(choices)), None, None)  # type: ignore[arg-type]


choice_sets = st.integers(2, 5).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-200, 0), min_size=n, max_size=n),
        st.lists(st.text(alphabet="aéß日 ", min_size=1, max_size=9), min_size=n, max_size=n),
        st.integers(0, n - 1),
    )
)


@given(choice_sets)
def test_accuracies_are_numpys_argmax(case: tuple[list[float], list[str], int]) -> None:
    totals, choices, gold = case
    lengths = [[1] * len(choices), [len(choice) for choice in choices], [len(choice.encode()) for choice in choices]]
    for metric, length in zip(METRICS, lengths, strict=True):
        chosen = np.argmax(np.array(totals) / np.array(length))
        assert score(metric, totals, choices, gold).value == float(chosen == gold)


def test_characters_bytes_and_sums_can_disagree() -> None:
    totals, choices = [-10.0, -12.0, -13.0], ["ab", "abc", "日本"]
    chosen = [[score(metric, totals, choices, gold).value for gold in range(3)].index(1.0) for metric in METRICS]
    assert chosen == [0, 1, 2]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("gold", [0, 1, 2])
def test_a_log_likelihood_that_is_no_number_never_scores(metric: LikeliestChoice, gold: int) -> None:
    got = score(metric, [-1.0, math.nan, -3.0], ["a", "b", "c"], gold)
    assert got.value == 0.0
    assert got.explanation == "the log-likelihood of choice 1 is not a number"


def test_of_tied_choices_the_first_counts_and_the_tie_is_told() -> None:
    assert score(Accuracy(), [-2.0, -1.0, -1.0], ["a", "b", "c"], 1).value == 1.0
    tied = score(Accuracy(), [-2.0, -1.0, -1.0], ["a", "b", "c"], 2)
    assert (tied.value, tied.explanation) == (0.0, "choices [1, 2] are equally likely; the first of them counts")
    assert score(Accuracy(), [-math.inf, -math.inf], ["a", "b"], 1).value == 0.0


def test_an_impossible_choice_is_not_chosen() -> None:
    assert score(Accuracy(), [-math.inf, -5.0], ["a", "b"], 1).value == 1.0


def test_an_empty_choice_has_no_length() -> None:
    assert score(AccuracyByCharacters(), [0.0, -5.0], ["", "b"], 1).value == 1.0
    assert score(Accuracy(), [0.0, -5.0], ["", "b"], 0).value == 1.0


def test_a_choice_of_many_tokens_counts_their_sum() -> None:
    likelihoods = (Likelihood((-1.0, -1.0), (True, True)), Likelihood((-1.5,), (False,)))
    reference = Reference(target=1, choices=("a", "b"))
    assert Accuracy().score(Attempt(calls=(), likelihoods=likelihoods), reference, None, None).value == 1.0


def test_chance() -> None:
    choices = ("a", "b", "c", "d")
    for metric in (Accuracy(), ProbabilityMass()):
        assert metric.chance(Reference(target=0, choices=choices)) == 0.25
        assert metric.chance(Reference(target=(0, 2), choices=choices)) == 0.5
        assert metric.chance(Reference()) is None


def test_any_of_several_right_choices_counts() -> None:
    totals, choices = [-3.0, -1.0, -2.0], ["a", "b", "c"]
    assert score(Accuracy(), totals, choices, (0, 1)).value == 1.0
    assert score(Accuracy(), totals, choices, (0, 2)).value == 0.0


# --------------------------------------------------------------------------- MC2 of TruthfulQA


def mass(totals: list[float], golds: tuple[int, ...]) -> Score:
    attempt = Attempt(calls=(), likelihoods=tuple(Likelihood((total,), (False,)) for total in totals))
    return ProbabilityMass().score(attempt, Reference(target=golds, choices=("c",) * len(totals)), None, None)


@given(st.lists(st.floats(-300, 0), min_size=2, max_size=9), st.data())
def test_probability_mass_is_a_sum_of_scipys_softmax(totals: list[float], data: st.DataObject) -> None:
    golds = tuple(sorted(data.draw(st.sets(st.integers(0, len(totals) - 1), min_size=1))))
    assert mass(totals, golds).value == pytest.approx(float(softmax(totals)[list(golds)].sum()), abs=1e-12)


def test_probability_mass_of_very_unlikely_choices_does_not_underflow() -> None:
    assert mass([-2000.0, -2000.0], (1,)).value == pytest.approx(0.5)
    assert mass([-2000.0, -math.inf], (0,)).value == 1.0


@pytest.mark.parametrize("totals", [[math.nan, -1.0], [-math.inf, -math.inf]])
def test_probability_mass_of_nothing_is_told(totals: list[float]) -> None:
    got = mass(totals, (0,))
    assert (got.value, got.explanation) == (0.0, "a log-likelihood is not a number, or every choice is impossible")


# --------------------------------------------------------------------------- what greedy decoding would say


def greedy(said: list[tuple[bool, ...]], golds: object) -> Score:
    attempt = Attempt(calls=(), likelihoods=tuple(Likelihood((-1.0,) * len(each), each) for each in said))
    reference = Reference(target=golds, choices=("c",) * len(said))  # type: ignore[arg-type]
    return GreedyChoice().score(attempt, reference, None, None)


def test_a_right_choice_counts_when_all_its_tokens_are_the_likeliest() -> None:
    said = [(True, False), (True, True), (True,)]
    assert greedy(said, (0, 1)).value == 1.0
    assert greedy(said, (0,)).value == 0.0
    assert greedy(said, 2).value == 1.0


def test_a_backend_that_does_not_say_what_is_likeliest_cannot_be_scored_so() -> None:
    with pytest.raises(DataError, match="needs to know of each token whether it is the likeliest"):
        greedy([(), (True,)], (0, 1))


@pytest.mark.parametrize(
    ("totals", "choices", "gold", "sentence"),
    [
        ([-1.0], ["a", "b"], 0, "needs one log-likelihood a choice, but got 1 for 2 choices"),
        ([], [], 0, "needs one log-likelihood a choice, but got 0 for 0 choices"),
        ([-1.0, -2.0], ["a", "b"], 2, "needs the position of the right choice, 0 to 1, not 2"),
        ([-1.0, -2.0], ["a", "b"], (), "needs the position of the right choice"),
        ([-1.0, -2.0], ["a", "b"], (0, 2), "needs the position of the right choice"),
        ([-1.0, -2.0], ["a", "b"], "a", "needs the position of the right choice, 0 to 1, not 'a'"),
    ],
)
def test_what_is_missing_is_named(totals: list[float], choices: list[str], gold: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        score(Accuracy(), totals, choices, gold)
