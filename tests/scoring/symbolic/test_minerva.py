"""Minerva's normal form, rule by rule; the tests of parity hold it against lm-eval's."""

from __future__ import annotations

import pytest

from evalharness.scoring.symbolic.minerva import normal_form


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("x = 5", "5"),
        ("1,000 dollars", "1000"),
        ("0,1", "0,1"),
        (r"$\frac12$", r"\frac{1}{2}"),
        (r"\sqrt[3]8", r"\sqrt[3]{8}"),
        (r"2\pi cm", r"2\pi"),
        (r"\left[2, 5\right)", r"\left[2,5\right)"),
        (r"\text{east}", "east"),
        (r"\boxed{\textbf{4}}", "4"),
        (r"30^\circ", "30"),
    ],
)
def test_normal_form(text: str, result: str) -> None:
    assert normal_form(text) == result
