"""Filters remove what their rules say, each rule for a text that breaks it alone, and count it by name."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.stack.corpus.filters import STOP_WORDS, removed_by
from evalharness.stack.corpus.languages import KNOWN, language_of
from evalharness.stack.corpus.options import FilterOptions

GOOD = (
    "The ferry left the harbour before the sun was up, and those who had slept on the deck woke to a grey sea. "
    "Nobody spoke of the storm that had kept them in town for a week. A boy with a basket of apples went from one "
    "bench to the next; he sold three of them and gave the rest away. By noon the wind had turned, and the captain "
    "told us that we would have to be patient until the evening."
)


def removed(text: str, **options: Any) -> str | None:
    return removed_by(text, FilterOptions.model_validate(options))


def test_a_good_text_stays() -> None:
    everything: dict[str, Any] = {"length": {}, "language": {"keep": ["en"]}, "quality": {}, "repetition": {}}
    assert removed(GOOD, **everything) is None
    assert removed("") is None


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"min_words": 100}, "too few words"),
        ({"max_words": 10}, "too many words"),
        ({"min_characters": 1000}, "too few characters"),
        ({"max_characters": 100}, "too many characters"),
    ],
)
def test_length(options: dict[str, int], rule: str) -> None:
    assert removed(GOOD, length=options) == f"length: {rule}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (GOOD[:100], "number of words"),
        (" ".join(word[:2] for word in GOOD.split()), "mean word length"),
        (GOOD.replace(" ", "lengthened "), "mean word length"),
        (GOOD.replace("e ", "e # "), "symbols"),
        (GOOD.replace("e ", "e… "), "symbols"),
        ("- " + GOOD.replace(". ", ".\n- "), "bullet lines"),
        (GOOD.replace(". ", "...\n"), "ellipsis lines"),
        (GOOD + " 10-20" * 30, "alphabetic words"),
        (" ".join(word for word in GOOD.split() if word.lower() not in STOP_WORDS), "stop words"),
    ],
)  # fmt: skip
def test_quality(text: str, rule: str) -> None:
    assert removed(text, quality={}) == f"quality: {rule}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("yes\nno\n" * 3 + GOOD, "duplicate lines"),
        ("A\n\n" * 3 + GOOD[:200] + "\n" + GOOD[200:] + "\nmore\nand\nmore of it\nyet", "duplicate paragraphs"),
        ("\n".join([GOOD, GOOD, *"abcdefg"]), "characters in duplicate lines"),
        ("over and " * 30 + GOOD, "one 2-gram over and over"),
    ],
)
def test_repetition(text: str, rule: str) -> None:
    assert removed(text, repetition={}) == f"repetition: {rule}"


SENTENCES = {
    "en": "He told us that the road to the village was closed, so we went back the way we had come.",
    "de": "Er sagte uns, dass die Straße in das Dorf gesperrt war, und so gingen wir den Weg wieder zurück.",
    "fr": "Il nous a dit que la route du village était fermée, et nous sommes revenus par le même chemin.",
    "es": "Nos dijo que el camino del pueblo estaba cerrado, así que volvimos por donde habíamos venido.",
    "it": "Ci ha detto che la strada per il paese era chiusa e che non si poteva passare con la macchina.",
    "pt": "Ele disse que a estrada da aldeia estava fechada e que não havia como passar com o carro.",
    "nl": "Hij zei dat de weg naar het dorp was afgesloten en dat we niet met de auto verder konden.",
    "sv": "Han sade att vägen till byn var stängd och att vi inte kunde komma fram med bilen.",
    "pl": "Powiedział nam, że droga do wsi jest zamknięta i że nie można tam dojechać, ale to nie był problem.",
    "ru": "Он сказал нам, что дорога в деревню закрыта.",
    "el": "Μας είπε ότι ο δρόμος για το χωριό ήταν κλειστός.",
    "he": "הוא אמר לנו שהדרך לכפר סגורה.",
    "ar": "قال لنا إن الطريق إلى القرية مغلق.",
    "hi": "उसने हमें बताया कि गाँव का रास्ता बंद है।",
    "th": "เขาบอกเราว่าถนนไปหมู่บ้านปิดอยู่",
    "ko": "그는 마을로 가는 길이 막혔다고 말했다.",
    "ja": "村への道は閉まっていると彼は言った。",
    "zh": "他告诉我们去村子的路已经关闭了。",
}


def test_every_known_language_has_a_sentence() -> None:
    assert set(SENTENCES) == set(KNOWN)


@pytest.mark.parametrize("language", SENTENCES)
def test_a_language_is_told(language: str) -> None:
    found, share = language_of(SENTENCES[language])
    assert found == language
    assert share >= 0.2
    assert removed(SENTENCES[language], language={"keep": [language]}) is None
    assert removed(GOOD, language={"keep": [language]}) == (None if language == "en" else "language: en")


def test_what_is_no_language_is_not_told() -> None:
    assert removed("qwrt zxcv bnmp ghjk", language={"keep": ["en"]}) == "language: not told"
    assert removed("12 34 56 !!", language={"keep": ["en"]}) == "language: not told"
