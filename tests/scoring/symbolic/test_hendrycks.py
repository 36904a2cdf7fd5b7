"""The string rules of MATH's authors, rule by rule; the tests of parity hold them against lm-eval's."""

from __future__ import annotations

import pytest

from evalharness.scoring.symbolic.hendrycks import equal, form


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\frac1{72}", r"\frac{1}{72}"),
        (r"\sqrt3 + \sqrt{5}", r"\sqrt{3}+\sqrt{5}"),
        ("3/4", r"\frac{3}{4}"),
        ("0.5", r"\frac{1}{2}"),
        (".5", r"\frac{1}{2}"),
        (r"x = \left( 1, 2 \right)", "(1,2)"),
        (r"90^\circ", "90"),
        (r"12 \text{ cm}", "12"),
        (r"50\%", "50"),
        ("", ""),
    ],
)
def test_form(text: str, result: str) -> None:
    assert form(text) == result


def test_where_the_rules_fail_the_texts_decide() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        form("a/b")
    assert equal("a/b", "a/b")
    assert not equal("a/b", "a / b")
