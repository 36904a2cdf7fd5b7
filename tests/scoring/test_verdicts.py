from __future__ import annotations

from typing import Any

import pytest
from scoring.verdicts_for_tests import attempt, pair, rated

from evalharness.errors import DataError
from evalharness.records.run import score_record
from evalharness.scoring.base import Metric, build_metrics
from evalharness.types import Reference, Score, Verdict

FAILED = Verdict(judge="rating", candidate=0, label="error", details={})


def metric(name: str, **options: Any) -> Metric:
    (built,) = build_metrics([{"metric": name, **options}], "t")
    return built


def score(name: str, *verdicts: Verdict, **options: Any) -> Score:
    return metric(name, **options).score(attempt(verdicts), Reference(), None, None)


def test_a_rating_is_the_mean_over_the_turns_or_that_of_one() -> None:
    turns = rated(8, 0), rated(3, 1)
    assert score("judge_rating", *turns) == Score(5.5)
    assert score("judge_rating", *turns, turn=2) == Score(3.0)
    with pytest.raises(DataError, match="reads verdicts of the judge 'rating' of turn 3, and the attempt has none"):
        score("judge_rating", *turns, turn=3)


@pytest.mark.parametrize(("rule", "value", "weight"), [("drop", 8.0, 0.5), ("tie", 6.75, 1.0), ("loss", 4.5, 1.0)])
def test_what_an_unparsed_verdict_counts_as_is_said(rule: str, value: float, weight: float) -> None:
    found = score("judge_rating", rated(8, 0), rated(None, 1), on_unparsed=rule)
    assert (found.value, found.weight) == (value, weight)


def test_an_unparsed_verdict_fails_the_sample_unless_it_is_said() -> None:
    with pytest.raises(DataError, match="no verdict that can be read; say what that counts as with on_unparsed: drop"):
        score("judge_rating", rated(None))
    nothing = score("judge_rating", rated(None), on_unparsed="drop")
    assert nothing.weight == 0


def test_a_judge_that_failed_gave_no_verdict() -> None:
    assert score("judge_rating", FAILED, rated(4, 1)) == Score(4.0, weight=0.5)
    assert score("judge_rating", FAILED, on_unparsed="loss").weight == 0
    assert score("win_rate", pair(), on_unparsed="loss").weight == 0


def test_shares_of_labels() -> None:
    verdicts = rated(8, 0), rated(None, 1), FAILED, rated(2, 3)
    assert score("verdict_share", *verdicts, judge="rating") == Score(1 / 3, weight=0.75)
    assert score("verdict_share", *verdicts, judge="rating", verdicts=["error"]) == Score(0.25)
    assert score("verdict_share", *verdicts, judge="rating", verdicts=["rated", "unparsed"]).value == 1
    assert score("verdict_share", pair("win", "loss"), judge="pairwise", verdicts=["inconsistent"]) == Score(1.0)


def test_a_label_without_a_score_is_told() -> None:
    verdict = Verdict(judge="question", candidate=0, label="yes", details={})
    with pytest.raises(DataError, match="the judge 'question' gives none; name a judge that does"):
        score("judge_rating", verdict, judge="question")


def test_win_rate() -> None:
    pairs = {
        ("win", "win"): 1.0, ("loss", "loss"): 0.0, ("tie", "tie"): 0.5, ("win", "loss"): 0.5, ("tie", "win"): 0.5,
    }  # fmt: skip
    assert {orders: score("win_rate", pair(*orders)).value for orders in pairs} == pairs
    unread = pair("win", None)
    assert [score("win_rate", unread, on_unparsed=rule).value for rule in ("tie", "loss")] == [0.5, 0.0]
    assert score("win_rate", unread, on_unparsed="drop").weight == 0
    with pytest.raises(DataError, match="on_unparsed: drop, tie or loss"):
        score("win_rate", unread, on_unparsed="fail")


def test_win_rate_by_preference() -> None:
    assert score("win_rate", pair("win", "win", preference=0.75), by="preference") == Score(0.75)
    assert score("win_rate", pair("win", "tie"), by="preference") == Score(0.75)
    assert score("win_rate", pair("win", None), by="preference", on_unparsed="tie") == Score(0.5)


def test_first_position_and_consistency() -> None:
    place = {
        ("win", "loss"): 1.0, ("loss", "win"): 0.0, ("win", "win"): 0.5, ("loss", "loss"): 0.5,
    }  # fmt: skip
    assert {orders: score("first_position_rate", pair(*orders)).value for orders in place} == place
    assert score("first_position_rate", pair("win", None)) == Score(1.0, weight=0.5)
    assert score("first_position_rate", pair("tie", None)).weight == 0
    assert score("position_consistency", pair("win", "win")) == Score(1.0)
    assert score("position_consistency", pair("tie", "win")) == Score(0.0)
    assert score("position_consistency", pair("win", None)).weight == 0
    assert score("position_consistency", pair()).weight == 0


def judged(name: str, target: str, *verdicts: Verdict, **options: Any) -> Score:
    built = metric(name, judge="pairwise", **options)
    return built.score(attempt(verdicts), Reference(target=target, facts={"votes": target}), None, None)


def test_accuracy_of_a_judge_is_over_both_orders() -> None:
    assert judged("judgement_accuracy", "1", pair("win", "win")) == Score(1.0)
    assert judged("judgement_accuracy", "2", pair("win", "loss")) == Score(0.5)
    assert judged("judgement_accuracy", "1", pair("win", "tie")) == Score(0.75)
    assert judged("judgement_accuracy", "1", pair("win", None)) == Score(0.5)
    assert judged("judgement_accuracy", "1", pair("win", None), on_unparsed="drop") == Score(1.0, weight=0.5)
    assert judged("judgement_accuracy", "1", pair()).weight == 0
    assert metric("judgement_accuracy").chance(Reference()) == 0.5


def test_agreement_with_people() -> None:
    assert judged("human_agreement", "1", pair("win", "win")) == Score(1.0)
    assert judged("human_agreement", "2", pair("win", "win")) == Score(0.0)
    assert judged("human_agreement", "tie", pair("win", "loss")) == Score(1.0)
    assert judged("human_agreement", "loss", pair("win", "loss")) == Score(0.0)
    assert judged("human_agreement", "loss", pair("win", "loss"), ties=False).weight == 0
    assert judged("human_agreement", "1", pair("win", None), on_unparsed="loss") == Score(0.0)
    assert judged("human_agreement", "2", pair("win", "win"), human="votes") == Score(0.0)
    with pytest.raises(DataError, match="1, 2 or tie, or win, loss or tie, and not '3'"):
        judged("human_agreement", "3", pair("win", "win"))


def test_kappa_counts_a_square_of_labels() -> None:
    assert judged("human_kappa", "1", pair("win", "win")).parts == (1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert judged("human_kappa", "2", pair("win", "loss")).parts == (0, 0, 0, 0, 0, 1, 0, 0, 0)
    assert judged("human_kappa", "1", pair("win", None)).parts == (0,) * 9
    assert judged("human_kappa", "1", pair("win", None), on_unparsed="loss").parts == (0, 0, 0, 0, 0, 0, 1, 0, 0)


def test_what_the_length_controlled_win_rate_is_fitted_to() -> None:
    verdict = pair("win", "win", preference=0.8, lengths=[120, 100])
    found = metric("length_controlled_win_rate", difficulty="hard").score(
        attempt([verdict]), Reference(facts={"hard": 1.5}), None, None
    )
    assert found == Score(0.8, parts=(1.0, 0.8, -20.0, 1.5))
    dropped = score("length_controlled_win_rate", pair("win", None), on_unparsed="drop")
    assert (dropped.weight, dropped.parts) == (0.0, (0.0,) * 4)
    with pytest.raises(DataError, match="reads one verdict, not 2; pick one with turn"):
        score("length_controlled_win_rate", pair("win", "win"), pair("win", "win", candidate=1))


@pytest.mark.parametrize("name", ["win_rate", "first_position_rate", "position_consistency"])
@pytest.mark.parametrize("orders", [("win", "win"), ("win", "loss"), ("tie", "loss"), ("loss", "loss"), ("win", None)])
def test_exchanged_sides_mirror_every_figure(name: str, orders: tuple[str | None, str | None]) -> None:
    """The same two answers of the judge, read from the other side: the orders change places, wins are losses."""
    mirrored = {"win": "loss", "loss": "win", "tie": "tie", None: None}
    other = pair(*(mirrored[outcome] for outcome in reversed(orders)))
    one, exchanged = score(name, pair(*orders)), score(name, other)
    assert exchanged.weight == one.weight
    assert exchanged.value == (1 - one.value if name == "win_rate" else one.value)


def test_alpaca_evals_win_rate_and_error_by_hand() -> None:
    """Preferences .9, .2, .5 and 1: mean .65; squares of deviations .0625 + .2025 + .0225 + .1225 = .41, so that the
    standard error is √(.41 / 3) / √4; of verdicts two wins, one loss and one tie make (2 + ½) / 4."""
    preferences = (0.9, 0.2, 0.5, 1.0)
    outcomes = [("win", "win"), ("loss", "loss"), ("tie", "tie"), ("win", "win")]
    pairs = [pair(*each, preference=share) for each, share in zip(outcomes, preferences, strict=True)]
    found = {}
    for by in ("preference", "verdict"):
        values = [score("win_rate", each, by=by).value for each in pairs]
        found[by] = score_record(values, [1.0] * 4, list("abcd"), aggregate="mean", higher_is_better=True)
    assert found["preference"].value == pytest.approx(0.65)
    assert found["preference"].standard_error == pytest.approx((0.41 / 3) ** 0.5 / 2)
    assert found["verdict"].value == 0.625
