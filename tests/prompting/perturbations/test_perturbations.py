"""Each perturbation by itself: what it changes, what it leaves alone, and that its draws are those of the sample."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.errors import DataError, UsageError
from evalharness.prompting.perturbations.base import Perturbation, Wording, build_perturbations, stream
from evalharness.prompting.perturbations.case import Case
from evalharness.prompting.perturbations.option_order import OptionOrder
from evalharness.prompting.perturbations.spacing import Spacing
from evalharness.prompting.perturbations.typos import NEIGHBOURS, Typos
from evalharness.prompting.perturbations.wording import OtherWording

SENTENCE = "Which of these gives a plant the energy to make its own food, and when does it do so?"
KEPT = r"[MASK] NASA x_1 \frac{1}{2} $x^2$ 3,5 B2B a/b <b>bold</b> foo() __init__ name@host A) x + y = z 12th"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=80) | st.sampled_from([
    SENTENCE, KEPT, "", "  two  spaces \n and\tlines\n", "Straße, İstanbul, ﬁne, naïve don't well-known",
])  # fmt: skip
OF_TEXTS = [
    Typos(rate=1.0), Typos(rate=0.4), Typos(rate=1.0, slips=("swap",)), Case(to="upper"), Case(to="title"),
    Case(to="swapped", rate=0.5), Spacing(rate=1.0), Spacing(rate=1.0, kind="missing"),
    Spacing(rate=0.5, kind="inside"),
]  # fmt: skip
names = [f"{each.perturbation} {number}" for number, each in enumerate(OF_TEXTS)]


@pytest.mark.parametrize("perturbation", OF_TEXTS, ids=names)
@settings(derandomize=True, max_examples=60, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 99))
def test_rate_0_changes_nothing_and_one_stream_is_one_text(perturbation: Perturbation, text: str, seed: int) -> None:
    assert perturbation.model_copy(update={"rate": 0.0}).text(text, Random(seed)) == text
    assert perturbation.text(text, Random(seed)) == perturbation.text(text, Random(seed))


@pytest.mark.parametrize("perturbation", OF_TEXTS, ids=names)
@settings(derandomize=True, max_examples=60, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 99))
def test_digits_lines_and_what_is_no_prose_stay(perturbation: Perturbation, text: str, seed: int) -> None:
    changed = perturbation.text(text, Random(seed))
    for kept in (r"\d", r"\n", r"[!-/:-@\[-`{-~]"):
        assert re.findall(kept, changed) == re.findall(kept, text)
    assert perturbation.text(KEPT, Random(seed)) == KEPT


@settings(derandomize=True, max_examples=100, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 99), low=st.floats(0, 1), high=st.floats(0, 1))
def test_what_is_mistyped_at_a_lower_rate_is_so_at_a_higher_one(text: str, seed: int, low: float, high: float) -> None:
    few, many = (Typos(rate=rate).text(text, Random(seed)).split() for rate in sorted((low, high)))
    for plain, rare, often in zip(text.split(), few, many, strict=True):
        assert rare in (plain, often)


def test_typos_change_each_word_of_three_letters_once() -> None:
    for seed in range(30):
        changed = Typos(rate=1.0).text(SENTENCE, Random(seed)).split()
        for old, new in zip(SENTENCE.split(), changed, strict=True):
            old, new = old.strip(",?"), new.strip(",?")
            assert (old == new) == (len(old) < 3)
            assert _is_one_slip(old, new)


def _is_one_slip(old: str, new: str) -> bool:
    if len(new) == len(old) - 1:
        return any(old[:place] + old[place + 1 :] == new for place in range(len(old)))
    places = [place for place in range(len(old)) if old[place] != new[place]]
    if len(places) == 2:
        first, second = places
        return second == first + 1 and old[first] == new[second] and old[second] == new[first]
    return all(new[place].lower() in NEIGHBOURS[old[place].lower()] for place in places)


def test_neighbours_are_mutual() -> None:
    for key, beside in NEIGHBOURS.items():
        assert key not in beside
        for other in beside:
            assert key in NEIGHBOURS[other], f"{other} is beside {key}, and not the other way round"


def test_the_rate_is_the_share() -> None:
    words = " ".join(["planets"] * 4000)
    changed = Typos(rate=0.1).text(words, Random(0)).split()
    assert sum(word != "planets" for word in changed) / 4000 == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("upper", "WHAT IS A U-TURN, AND WHY NOT NASA'S 3 x_1 A) [MASK]?"),
        ("lower", "what is a u-turn, and why not nasa's 3 x_1 A) [MASK]?"),
        ("title", "What Is A U-turn, And Why Not Nasa's 3 x_1 A) [MASK]?"),
        ("swapped", "wHAT IS A u-TURN, AND WHY NOT nasa'S 3 x_1 A) [MASK]?"),
    ],
)
def test_case(to: str, text: str) -> None:
    assert (
        Case.model_validate({"to": to}).text("What is a U-turn, and why not NASA's 3 x_1 A) [MASK]?", Random(0)) == text
    )


def test_spacing() -> None:
    text = "the old lamp, it was 3 m tall\nand dark"
    assert Spacing(rate=1.0).text(text, Random(0)) == "the  old  lamp, it  was 3 m tall\nand  dark"
    assert Spacing(rate=1.0, kind="missing").text(text, Random(0)) == "theoldlamp, itwas 3 m tall\nanddark"
    broken = Spacing(rate=1.0, kind="inside").text(text, Random(0))
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert broken.count(" ") == text.count(" ") + 3


# --------------------------------------------------------------------------- order and wording


@settings(derandomize=True, max_examples=100, deadline=None)
@given(count=st.integers(0, 12), seed=st.integers(0, 999), to=st.sampled_from(["shuffled", "reversed"]))
def test_an_order_is_a_bijection_whose_inverse_restores(count: int, seed: int, to: str) -> None:
    perturbation = OptionOrder.model_validate({"to": to})
    order = perturbation.order(count, Random(seed))
    assert sorted(order) == list(range(count))
    assert count < 2 or order != tuple(range(count))
    options = [f"option {position}" for position in range(count)]
    shown = [options[position] for position in order]
    assert [shown[order.index(position)] for position in range(count)] == options
    assert perturbation.model_copy(update={"rate": 0.0}).order(count, Random(seed)) == tuple(range(count))


def test_orders_are_drawn_alike() -> None:
    drawn = [OptionOrder().order(3, Random(seed)) for seed in range(3000)]
    shares = [drawn.count(order) / 3000 for order in set(drawn)]
    assert len(shares) == 5
    assert all(share == pytest.approx(0.2, abs=0.03) for share in shares)


def test_wordings() -> None:
    known = ["short", "long"]
    assert OtherWording(to="long").wording(known, Random(0)) == Wording(question="long")
    assert OtherWording(around="q_a").wording((), Random(0)) == Wording(template="q_a")
    assert OtherWording(around="q_a", rate=0.0).wording((), Random(0)) == Wording()
    assert {OtherWording().wording(known, Random(seed)).question for seed in range(20)} == {"short", "long"}
    with pytest.raises(UsageError, match="no such wording; did you mean 'short'"):
        OtherWording(to="shrt").wording(known, Random(0))
    with pytest.raises(UsageError, match="offers no other wording"):
        OtherWording().wording((), Random(0))


# --------------------------------------------------------------------------- streams


def test_a_stream_depends_on_seed_task_sample_name_and_part() -> None:
    typos = Typos()
    first = stream(typos, "arc", "7").random()
    assert stream(typos, "arc", "7").random() == first
    assert stream(Typos(rate=0.9, demonstrations=True), "arc", "7").random() == first
    others = [
        stream(Typos(seed=1), "arc", "7"),
        stream(typos, "boolq", "7"),
        stream(typos, "arc", "8"),
        stream(Case(), "arc", "7"),
        stream(typos, "arc", "7", 1),
    ]
    assert len({first, *(other.random() for other in others)}) == 6


def test_pinned_draws() -> None:
    """What a version asks stays as it is: a change raises `version`."""
    random = stream(Typos(), "made_up", "1")
    assert Typos(rate=0.5).text(SENTENCE, random) == (
        "Which of these gices a plant hte enefgy to makd its own food, adn whn does it do so?"
    )
    assert OptionOrder().order(5, stream(OptionOrder(), "made_up", "1")) == (1, 3, 4, 0, 2)


# --------------------------------------------------------------------------- definitions


def test_build() -> None:
    typos, case = build_perturbations(["typos", {"perturbation": "case", "to": "upper"}], "perturb")
    assert (type(typos), type(case)) == (Typos, Case)
    for specs, sentence in [
        (["typo"], r"perturb\[0\]: unknown perturbation 'typo'; did you mean 'typos'\?"),
        ([{"perturbation": "typos", "rat": 1}], "rat: unknown key; did you mean 'rate'"),
        ([{"perturbation": "typos", "rate": 2}], "rate: Input should be less than or equal to 1"),
        (["case", {"perturbation": "case", "to": "upper"}], "'case' is listed twice"),
        ([{"rate": 1}], "the key 'perturbation' with the name of a perturbation is missing"),
    ]:
        with pytest.raises(DataError, match=sentence):
            build_perturbations(specs, "perturb")  # type: ignore[arg-type]
