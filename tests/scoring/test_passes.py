"""What verdicts are worth."""

from __future__ import annotations

import pytest

from evalharness.errors import DataError
from evalharness.scoring.apply import Scorer
from evalharness.scoring.passes import PassedTests, Passes
from evalharness.types import Attempt, Reference, Score, Verdict


def attempt(*labels: str, judge: str = "execution", why: str | None = None) -> Attempt:
    return Attempt(
        calls=(),
        verdicts=tuple(
            Verdict(judge=judge, candidate=number, label=label, explanation=why) for number, label in enumerate(labels)
        ),
    )


def score(attempt: Attempt, **options: object) -> Score:
    metric = Passes.model_validate({"metric": "passes", **options})
    return Scorer(None, [metric]).score(attempt, Reference()).scores["passes"]


def test_a_program_passes_or_does_not_and_the_verdict_explains() -> None:
    assert score(attempt("pass")) == Score(1.0, explanation="pass")
    assert score(attempt("timeout", why="longer than 3 s")) == Score(0.0, explanation="timeout: longer than 3 s")
    assert [score(attempt(label)).value for label in ("fail", "error", "memory", "output_limit")] == [0.0] * 4


def test_of_several_candidates_the_share_counts() -> None:
    assert score(attempt("pass", "fail", "pass", "error")).value == 0.5


def test_the_judge_is_found_by_name() -> None:
    both = Attempt(calls=(), verdicts=(*attempt("fail").verdicts, *attempt("pass", judge="other").verdicts))
    assert score(both).value == 0.0
    assert score(both, judge="other").value == 1.0


def test_the_share_of_the_tests_that_a_program_passes() -> None:
    tested = [
        Verdict(judge="input_output", candidate=0, label="fail", explanation="no", details={"tests": 4, "passed": 3}),
        Verdict(judge="input_output", candidate=1, label="error"),
    ]
    scorer = Scorer(None, [PassedTests.model_validate({"metric": "tests_passed"})])
    for verdicts, value, why in ((tested[:1], 0.75, "fail: no"), (tested, 0.375, "fail: no; error")):
        found = scorer.score(Attempt(calls=(), verdicts=tuple(verdicts)), Reference()).scores["tests_passed"]
        assert found == Score(value, explanation=why)
    with pytest.raises(
        DataError, match="metric 'tests_passed' reads the verdicts of the judge 'input_output', and the"
    ):
        scorer.score(attempt("pass"), Reference())


def test_an_attempt_that_nobody_judged_is_no_zero() -> None:
    with pytest.raises(DataError, match="reads the verdicts of the judge 'execution', and the attempt has none"):
        score(Attempt(calls=()))
