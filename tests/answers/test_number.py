from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.number import NumberParser

READ = NumberParser()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # forms
        ("18", "18"),
        ("18.0", "18"),
        ("18.", "18"),
        ("$18.00", "18"),
        ("018", "18"),
        ("1,000", "1000"),
        ("1,234,567.50", "1234567.5"),
        ("0.10", "0.1"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("-7", "-7"),
        ("−7", "-7"),
        ("–7", "-7"),
        ("+7", "7"),
        ("-0.0", "0"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("$ 5", "5"),
        (r"\$5", "5"),
        ("€1,200", "1200"),
        ("50%", "50"),
        ("3/4", "0.75"),
        ("6/8", "0.75"),
        ("-3/4", "-0.75"),
        ("1/3", "1/3"),
        ("2/6", "1/3"),
        ("8/4", "2"),
        ("1 1/2", "1.5"),
        (r"\frac{3}{4}", "0.75"),
        (r"-\dfrac{3}{4}", "-0.75"),
        (r"\frac{-3}{4}", "-0.75"),
        (r"1\frac{1}{2}", "1.5"),
        ("3/0", "0"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        ("2 x 10^5", "200000"),
        (r"6.02 \times 10^{23}", "602000000000000000000000"),
        # what is no number, or another one than it seems
        ("H2O", None),
        ("x_1", None),
        ("m^2", None),
        ("10^6", None),
        ("no idea", None),
        ("", None),
        ("5-10", "10"),
        ("total--18", "18"),
        ("12/25/2020", "2020"),
        ("18 m^2", "18"),
        ("1234,567", "567"),
        ("1, 2, 3", "3"),
        ("16th", "16"),
        ("5kg", "5"),
        ("答案是18个", "18"),
        # which one
        ("16 eggs a day, 3 eaten, 4 baked. 9 * 2 = 18 dollars a day", "18"),
        ("#### 18\nThat took 3 steps", "18"),
        ("The answer is 18. I used 3 eggs.", "18"),
        ("The answer is 5 + 13 = 18 eggs. There were 3 hens.", "18"),
        ("The answer is x = 18.", "18"),
        ("The answer is 18 =", "18"),
        ("ANSWER: 18\n\nNote 1", "18"),
        ("**Answer:** 18\n2 hens", "18"),
        ("**Answer**: 18\n2 hens", "18"),
        ("The answer is:\n\n18\n\n3 hens", "18"),
        (r"so \boxed{18} = 6 * 3", "18"),
        (r"so \boxed{1,000} as 2 is even", "1000"),
        (r"\boxed{\frac{1}{2}} of 7", "0.5"),
        ("The answer is 7. No, the answer is 8. 9 left.", "8"),
        ("The answer is unknown. 18", "18"),
        ("the answer isn't 5, it is 7, of 9", "9"),
        ("İ the answer is 5, of 9", "5"),  # lowering this letter would shift positions
    ],
)
def test_value(text: str, value: str | None) -> None:
    assert READ.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("costs -$18.50 today", "-$18.50"),
        ("so 1 1/2 cups", "1 1/2"),
        ("#### 1,000.", "1,000"),
        ("half: .5!", ".5"),
    ],
)
def test_span_is_what_was_read(text: str, found: str) -> None:
    span = READ.parse(text).span
    assert span is not None
    assert text[slice(*span)] == found


def test_first() -> None:
    read = NumberParser(which="first")
    assert read.parse("3 or 4").value == "3"
    assert read.parse("1. the answer is 3, the answer is 4").value == "3"


def test_without_markers_the_whole_text_counts() -> None:
    assert NumberParser(markers=()).parse("#### 18\nThat took 3 steps").value == "3"


def test_a_marker_of_ones_own() -> None:
    assert NumberParser(markers=("Total:",)).parse("TOTAL: 18 of 20, the answer is 3").value == "18"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zero", "0"),
        ("twenty-five eggs", "25"),
        ("a hundred and two", "102"),
        ("nineteen hundred", "1900"),
        ("Two thousand, three hundred and five", "2305"),
        ("three million five hundred thousand and one", "3500001"),
        ("two, three", "3"),
        ("7 or eight", "8"),
        ("someone often weighs", None),
        ("The answer is twelve. 7 left", "12"),
    ],
)
def test_words(text: str, value: str | None) -> None:
    assert NumberParser(words=True).parse(text).value == value
    assert NumberParser().parse("one and two").value is None


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["{}", "{:,}", "{}.", "{}.00", "{:,}.0", "The answer is {:,}.", "${}"]),
)
def test_every_way_to_write_an_integer_has_its_value(number: int, form: str) -> None:
    assert READ.parse(form.format(number)).value == str(number)
    assert READ.canonical(form.format(number)) == str(number)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions_are_canonical_by_value(top: int, bottom: int) -> None:
    value = READ.parse(f"{top}/{bottom}").value
    assert value is not None
    assert Fraction(value) == Fraction(top, bottom)
    assert READ.parse(f"{3 * top}/{3 * bottom}").value == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_decimals_are_exact(number: object) -> None:
    value = READ.parse(f"{number:f}").value
    assert value is not None
    assert Fraction(value) == Fraction(str(number))
    assert value == READ.parse(value).value


@given(st.integers(0, 999_999_999))
def test_number_words_say_their_number(number: int) -> None:
    assert NumberParser(words=True).parse(spell(number)).value == str(number)


def test_numbers_of_any_length_are_read() -> None:
    assert READ.parse("9" * 9000).value == "9" * 9000
    assert READ.parse("9" * 9000 + "/7").value is not None
    assert READ.parse("1e999").value == "1" + "0" * 999
    assert READ.parse("1e99999").value is None


def spell(number: int) -> str:
    """English words of a number below a thousand million."""
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    names = [*small.split(), "seventeen", "eighteen", "nineteen"]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if number < 20:
        return names[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"-{names[number % 10]}" if number % 10 else "")
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spell(number % size)}" if number % size else ""
            return f"{spell(number // size)} {name}{rest}"
    raise AssertionError


def test_where_only_what_is_announced_counts() -> None:
    read = NumberParser(otherwise="nothing")
    assert read.parse("3 * 4 = 12, so we take").value is None
    assert read.parse("3 * 4 = 12. The answer is 12").value == "12"
    assert read.parse("The answer is in chapter two").value is None
    assert [read.canonical(target) for target in ("12", "1,200", "3/4", "many")] == ["12", "1200", "0.75", "many"]
