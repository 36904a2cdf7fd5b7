"""Our metrics of mathematics give what lm-eval's own functions give, on answers of many forms."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parity.lm_eval_oracle import by_document, scores, shared_oracle
from parity.rows_math import MATH, MATH_POOL

from evalharness.scoring.symbolic import hendrycks
from evalharness.scoring.symbolic.boxes import last_box
from evalharness.scoring.symbolic.minerva import normal_form
from evalharness.tasks.task import load_task
from evalharness.types import Attempt, Sample

PIECES = [
    r"\frac",
    r"\frac{",
    r"\sqrt",
    r"\sqrt[",
    r"\dfrac",
    r"\tfrac",
    r"\left",
    r"\right",
    r"\text{",
    r"\text{s}",
    r"\mbox",
    r"\textbf{",
    r"\overline{",
    r"\boxed{",
    r"\boxed",
    r"\$",
    r"$",
    r"\%",
    r"%",
    r"^\circ",
    r"^{\circ}",
    r"\!",
    r"\\",
    r"\;",
    r",\!",
    r"{,}",
    r"=",
    r"/",
    r",",
    r".",
    r"0.5",
    r".5",
    r"-1",
    r"1,000",
    r"12",
    r"3",
    r"x",
    r"{",
    r"}",
    r"(",
    r")",
    r"[",
    r"]",
    r"square",
    r"ways",
    r"cm",
    r"ft",
    r"units",
    r"\mathrm{th}",
    r"dollars",
    r"\pi",
    r"\ldots",
    r"\dots",
    r"a",
    r"an",
    r"and",
]
FORMULAS = st.lists(st.sampled_from([*PIECES, " ", "\n", "\\text{ ", "a ", ".$"]), max_size=8).map("".join)


@pytest.fixture(scope="module")
def minerva() -> Any:  # imported outside the tests, since hypothesis follows every line that these run
    from lm_eval.tasks.minerva_math import utils

    return utils


@pytest.fixture(scope="module")
def theirs() -> Any:
    from lm_eval.tasks.hendrycks_math import utils

    return utils


@settings(max_examples=1500, deadline=None)
@given(answer=FORMULAS)
@example(answer="x=1,000")
@example(answer=r"2\pi cm")
@example(answer=r"\sqrt[3]8")
def test_normal_form(minerva: Any, answer: str) -> None:
    assert normal_form(answer) == minerva.normalize_final_answer(answer)


@settings(max_examples=1500, deadline=None)
@given(one=FORMULAS, other=FORMULAS, same=st.booleans())
@example(one="a/b", other="a/b", same=True)
@example(one="1/2", other=r"\frac{1}{2}", same=False)
@example(one=r"x=.5 \text{ cm}", other="0.5", same=False)
def test_string_rules(theirs: Any, one: str, other: str, same: bool) -> None:
    other = f" {one}" if same else other
    assert hendrycks.equal(one, other) == theirs.is_equiv(one, other)


@settings(max_examples=600, deadline=None)
@given(before=FORMULAS, inside=FORMULAS, after=FORMULAS)
def test_last_box(theirs: Any, before: str, inside: str, after: str) -> None:
    solution = f"{before}\\boxed{{{inside}}}{after}"
    try:
        expected = theirs.remove_boxed(theirs.last_boxed_only_string(solution))
    except (AssertionError, TypeError):
        return  # lm-eval ends with an error here
    assert last_box(solution) == expected


# --------------------------------------------------------------------------- whole tasks

SAID = (
    "$4$",
    "It is $4$. Or $5$.",
    " 4",
    "4.0",
    "$x=4$",
    r"$2 \sqrt3$",
    r"$\frac12$",
    "Final Answer: The final answer is $4$. I hope it is correct.",
    "Final Answer: The final answer is $4$. I hope it is correct. Final Answer: The final answer is 5.",
    r"Final Answer: The final answer is $2\sqrt{3}$.",
    r"Final Answer: The final answer is $\sqrt{12}$. ",
    r"Final Answer: The final answer is $\dfrac{2}{4}$. I hope it is correct",
    "Final Answer: The final answer is 1200 pens. I hope it is correct.",
    "Final Answer: The final answer is $[2,5)$. I hope it is correct.",
    r"Final Answer: The final answer is $\frac{1}{3}$. I hope it is correct.",
    r"Final Answer: The final answer is $\frac{1}{3$. I hope it is correct.",
    "Final Answer: The final answer is\n$4$. I hope it is correct.",
    "Final Answer: The final answer is ",
    r"Therefore \boxed{0.5}, and I hope it is correct.",
    r"\boxed{\left[2,5\right)} or so",
    "",
    "I do not know.",
)


@pytest.fixture(scope="module", params=["hendrycks_math/algebra", "minerva_math/algebra"])
def task(request: pytest.FixtureRequest) -> Any:
    name = str(request.param)
    theirs = shared_oracle().task(name.replace("/", "_"), {"train": MATH_POOL, "validation": MATH, "test": MATH})
    documents = by_document(theirs)
    return load_task(name, protocol="lm-eval"), theirs, documents


def _ours(task: Any, said: Sequence[str]) -> list[dict[str, float]]:
    samples = [Sample(id=str(n), index=n, row=row, content_hash=str(n), subset="algebra") for n, row in enumerate(MATH)]
    return [
        {
            name: score.value
            for name, score in task.scorer.score(
                Attempt(calls=(), candidates=(text,)), task.renderer.reference(sample)
            ).scores.items()
        }
        for text, sample in zip(said, samples, strict=True)
    ]


@pytest.mark.parametrize("said", SAID)
def test_answers(task: Any, said: str) -> None:
    own, theirs, documents = task
    with contextlib.redirect_stdout(io.StringIO()):
        expected = scores(theirs, documents, [[said]] * len(MATH))
    assert _ours(own, [said] * len(MATH)) == expected
