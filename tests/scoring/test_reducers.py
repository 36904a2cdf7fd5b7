import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.scoring.apply import Scored
from evalharness.scoring.reducers import check_reducer, reduce, reduce_each
from evalharness.types import Parsed, Score


def repeats(*values: float, answers: str | None = None) -> list[Scored]:
    given_answers = answers or "x" * len(values)
    return [
        Scored(Parsed(None, why="?") if answer == "?" else Parsed(answer), scores={"em": Score(value)})
        for value, answer in zip(values, given_answers, strict=True)
    ]


def test_mean() -> None:
    assert reduce("mean", repeats(1, 0, 1, 1))["em"] == Score(0.75)
    only = repeats(0.5)
    assert reduce("mean", only)["em"] is only[0].scores["em"]
    weighted = [Scored(None, scores={"ppl": Score(value, 12.0)}) for value in (2.0, 4.0)]
    assert reduce("mean", weighted)["ppl"] == Score(3.0, 12.0)


def test_majority_takes_the_score_of_the_answer_given_most() -> None:
    assert reduce("majority", repeats(1, 0, 0, answers="abb"))["em"].value == 0
    assert reduce("majority", repeats(1, 0, 0, answers="a??"))["em"].value == 1, "what is unparsed has no vote"
    assert reduce("majority", repeats(1, 0, answers="ab"))["em"].value == 1, "of tied answers the first"
    assert reduce("majority", repeats(0, 0, answers="??"))["em"].value == 0


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_chances_at_k_are_counts_over_all_draws(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    draws = list(itertools.combinations(right, k))
    scoreds = repeats(*map(float, right))
    assert reduce(f"pass@{k}", scoreds)["em"].value == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)
    assert reduce(f"pass^{k}", scoreds)["em"].value == pytest.approx(sum(map(all, draws)) / len(draws), abs=1e-12)


def test_chances_at_k_are_exact_for_many_repeats() -> None:
    scoreds = repeats(*[1.0] * 1, *[0.0] * 999)
    assert reduce("pass@1000", scoreds)["em"].value == 1.0
    assert reduce("pass@1", scoreds)["em"].value == 0.001
    assert reduce("pass^2", scoreds)["em"].value == 0.0


def test_each_metric_has_a_rule_of_its_own() -> None:
    scoreds = [Scored(None, scores={"passes": Score(float(n == 0)), "f1": Score(0.5)}) for n in range(4)]
    scoreds = [Scored(each.answer, scores={**each.scores, "passes 2": each.scores["passes"]}) for each in scoreds]
    rules = {"passes": "mean", "passes 2": "pass@2", "f1": "mean"}
    assert {label: score.value for label, score in reduce_each(rules, scoreds).items()} == {
        "passes": 0.25, "passes 2": 0.5, "f1": 0.5
    }  # fmt: skip
    assert list(reduce_each(rules, scoreds)) == list(rules)


def test_a_metric_that_draws_more_repeats_than_were_answered_is_left_out() -> None:
    assert reduce_each({"em": "pass@3"}, repeats(1, 0)) == {}
    assert reduce_each({"em": "mean"}, []) == {}


@given(st.permutations([1.0, 0.0, 0.0, 1.0, 0.0]), st.sampled_from(["mean", "pass@2", "pass^2"]))
def test_the_order_of_repeats_does_not_matter(values: list[float], name: str) -> None:
    assert reduce(name, repeats(*values)) == reduce(name, repeats(1, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("meen", (1,), "did you mean 'mean'?"),
        ("pass@0", (1,), "unknown reducer 'pass@0' (k stands for a number, as in pass@5)"),
        ("pass@k", (1,), "unknown reducer 'pass@k'"),
        ("pass@3", (1, 0), "the reducer 'pass@3' draws 3 of the repeats, but there are 2 of them."),
        ("pass^2", (1, 0.5), "counts right repeats, but 'em' scored 0.5; use mean."),
        ("mean", (), "there are no repeats to reduce."),
    ],
)
def test_what_cannot_be_reduced_is_refused(name: str, values: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        reduce(name, repeats(*values))
    assert sentence in str(error.value)


def test_a_majority_needs_answers() -> None:
    with pytest.raises(UsageError, match="counts parsed answers, but the task parses none"):
        reduce("majority", [Scored(None, scores={"acc": Score(1.0)})])


def test_a_reducer_is_checked_before_the_run() -> None:
    check_reducer("mean", 1)
    check_reducer("pass@8", 8)
    with pytest.raises(UsageError):
        check_reducer("pass^9", 8)
