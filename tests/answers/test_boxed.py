import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.boxed import BoxedParser

READ = BoxedParser()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{5}", "5"),
        (r"$\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{ $x^{2}$ }", "x^{2}"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"\fbox{a}", "a"),
        (r"\boxed 5$", "5"),
        (r"\boxed {5}", "5"),
        (r"\boxed{\boxed{3}}", "3"),
    ],
)
def test_value_and_span(text: str, value: str) -> None:
    parsed = READ.parse(text)
    assert parsed.value == value
    assert parsed.span is not None
    assert text[slice(*parsed.span)] == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5", "there is no box in the text"),
        (r"\boxedness{5}", "there is no box in the text"),
        (r"\boxed{5", "the box in the text is never closed"),
        (r"\boxed{ }", "the box in the text is empty"),
    ],
)
def test_why_nothing_was_found(text: str, why: str) -> None:
    assert READ.parse(text).why == why


def test_first() -> None:
    assert BoxedParser(which="first").parse(r"\boxed{1} \boxed{2}").value == "1"


def test_canonical_takes_a_solution_or_an_answer() -> None:
    assert READ.canonical(r"so $\boxed{x}$") == "x"
    assert READ.canonical(" $x$ ") == "x"


balanced = st.recursive(
    st.text(alphabet="ab+12", min_size=1, max_size=4),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda parts: "x{" + "".join(parts) + "}y"),
)


@given(balanced, st.text(alphabet="ab{} ", max_size=8))
def test_any_balanced_content_comes_back(content: str, before: str) -> None:
    assert READ.parse(f"{before}\\boxed{{{content}}} and more").value == content
