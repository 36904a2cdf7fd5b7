"""Formulas by value: what counts as equal, what is counted apart, and a run that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import write_rows

import evalharness
from evalharness.answers.base import build_parser
from evalharness.run.rescore import rescore
from evalharness.scoring.apply import Scorer, flags
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Reference, Score

pytest.importorskip("math_verify")


def _score(metric: Any, target: str | tuple[str, ...], said: str, parser: str = "boxed") -> Score:
    scorer = Scorer(build_parser(parser, "here"), build_metrics([metric], "here"))
    (score,) = scorer.score(Attempt(calls=(), candidates=(said,)), Reference(target=target)).scores.values()
    return score


@pytest.mark.parametrize(
    ("target", "said", "value"),
    [
        (r"\frac{1}{2}", r"So it is $\boxed{0.5}$.", 1.0),
        (r"\frac{1}{2}", r"\boxed{\dfrac{2}{4}}", 1.0),
        ("x^2 - 1", r"\boxed{(x-1)(x+1)}", 1.0),
        (r"\sqrt{12}", r"\boxed{2\sqrt{3}}", 1.0),
        ("[2,5)", r"\boxed{\left[2, 5\right)}", 1.0),
        ("[2,5)", r"\boxed{(2, 5)}", 0.0),
        (r"\text{Tuesday}", r"\boxed{\text{Tuesday}}", 1.0),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", 1.0),
        ("1,000", r"\boxed{1000}", 1.0),
        ("3", r"\boxed{-3}", 0.0),
        ("3", "there is no box", 0.0),
        (r"It is $\boxed{7}$, a worked solution.", r"\boxed{7.0}", 1.0),
        ("9", r"\boxed{9**1}", 1.0),
        ("9", r"\boxed{9**2}", 0.0),
    ],
)
def test_math_equal(target: str, said: str, value: float) -> None:
    score = _score("math_equal", target, said)
    assert (score.value, score.undecided) == (value, False)


def test_any_target_counts() -> None:
    assert _score("math_equal", ("1", "2"), r"\boxed{4/2}").value == 1.0


def test_what_explodes_is_flagged_and_worth_nothing() -> None:
    scorer = Scorer(build_parser("boxed", "here"), build_metrics([{"metric": "math_equal", "seconds": 1}], "here"))
    attempt = Attempt(calls=(), candidates=(r"\boxed{9**9**9}",))
    scored = scorer.score(attempt, Reference(target="1"))
    assert scored.scores["math_equal"] == Score(0.0, explanation="undecided: more than 1 seconds", undecided=True)
    assert flags(attempt, scored)["undecided"]
    scorer.close()


def test_a_run_goes_on_and_counts_what_was_undecided(here: Path) -> None:
    said = [r"\boxed{4}", r"\boxed{9**9**9}", r"\boxed{6}", "nothing"]
    rows = [{"question": f"{n} + {n}?", "answer": str(2 * n)} for n in range(2, 6)]
    values = {
        "name": "sums",
        "data": {"file": "sums.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
        "decode": {"max_tokens": 32},
        "answer": {"parser": "boxed"},
        "metrics": [{"metric": "math_equal", "seconds": 1}],
    }
    (here / "sums.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    write_rows(here / "sums.jsonl", rows)
    write_rows(here / "said.jsonl", [{"index": n, "completions": [text]} for n, text in enumerate(said)])
    run = evalharness.evaluate(str(here / "sums.yaml"), model="replay:said.jsonl", output=here / "run")
    assert run.results is not None
    assert run.results.scores["math_equal"].value == 0.25
    assert {name: count for name, count in run.results.counts.items() if count} == {"unparsed": 1, "undecided": 1}
    again = rescore(run, include=(here,))
    assert again.changes == ()
    assert again.results.counts == run.results.counts


def test_hendrycks_equal_and_minerva_equal_read_solutions_and_answers() -> None:
    for metric in ("hendrycks_equal", "minerva_equal"):
        for target in (r"\frac{1}{2}", r"So $\boxed{\frac12}$."):
            assert _score(metric, target, r"\frac{1}{2}", "text").value == 1.0
            assert _score(metric, target, "3", "text").value == 0.0
    assert _score("minerva_equal", r"2\sqrt{3}", r"$\sqrt{12}$ units", "text").value == 1.0
    assert _score("hendrycks_equal", r"2\sqrt{3}", r"\sqrt{12}", "text").value == 0.0


def test_math_verify_finds_the_answers_itself() -> None:
    assert _score("math_verify", r"Thus $\boxed{\frac{3}{4}}$.", "I think the answer is 0.75.", "text").value == 1.0
    assert _score("math_verify", r"Thus $\boxed{\frac{3}{4}}$.", "I do not know.", "text").value == 0.0
