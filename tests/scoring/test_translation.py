"""BLEU, chrF and TER of samples, and their settings, held against sacreBLEU."""

from __future__ import annotations

import math
import random

import pytest

from evalharness.errors import DataError
from evalharness.records.run import score_record
from evalharness.scoring.translation import Bleu, Chrf, Ter
from evalharness.types import Attempt, Parsed, Reference, Score

metrics = pytest.importorskip("sacrebleu.metrics")
NOTHING = Attempt(calls=())
SAID = ["The cat sat on the mat.", "A dog ran, far away!", "", "It is 3.5 percent"]
RIGHT = ["The cat is on the mat.", "The dog ran far away.", "Nothing was said.", "It was 3.5 per cent."]
JAPANESE = (["猫は部屋にいます。", "今日は寒い"], ["猫が部屋にいる。", "今日はとても寒いです。"])
CHINESE = (["猫在房间里。", "今天很冷"], ["猫坐在房间里。", "今天天气很冷。"])


def scores(metric: Bleu | Chrf | Ter, said: list[str], right: list[str], language: str = "en") -> list[Score]:
    references = (Reference(target=text, facts={"language": language}) for text in right)
    return [
        metric.score(NOTHING, reference, Parsed(text) if text else Parsed(None, why="empty"), None)
        for text, reference in zip(said, references, strict=True)
    ]


def of_corpus(metric: Bleu | Chrf | Ter, found: list[Score]) -> float:
    record = score_record(
        [score.value for score in found], [1.0] * len(found), [str(place) for place in range(len(found))],
        aggregate=metric.aggregate, higher_is_better=metric.higher_is_better,
        parts=[score.parts for score in found], subsets=[None] * len(found),
    )  # fmt: skip
    return math.nan if record.value is None else record.value


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        (Bleu(), metrics.BLEU()),
        (Bleu(lowercase=True), metrics.BLEU(lowercase=True)),
        (Bleu(tokenize="intl"), metrics.BLEU(tokenize="intl")),
        (Bleu(tokenize="char"), metrics.BLEU(tokenize="char")),
        (Bleu(tokenize="none"), metrics.BLEU(tokenize="none")),
        (Chrf(), metrics.CHRF()),
        (Chrf(word_order=2), metrics.CHRF(word_order=2)),
        (Chrf(lowercase=True), metrics.CHRF(lowercase=True)),
        (Ter(), metrics.TER()),
        (Ter(case_sensitive=True), metrics.TER(case_sensitive=True)),
        (Ter(normalized=True, no_punctuation=True), metrics.TER(normalized=True, no_punct=True)),
    ],
)
def test_of_a_corpus(metric: Bleu | Chrf | Ter, oracle: object) -> None:
    """An answer that is missing counts as an empty one: a corpus has no gaps."""
    theirs = oracle.corpus_score(SAID, [RIGHT]).score  # type: ignore[attr-defined]
    assert of_corpus(metric, scores(metric, SAID, RIGHT)) == pytest.approx(theirs)


@pytest.mark.parametrize(("language", "tokenize", "texts"), [("ja", "ja-mecab", JAPANESE), ("zh", "zh", CHINESE)])
def test_the_tokenizer_follows_the_language(language: str, tokenize: str, texts: tuple[list[str], list[str]]) -> None:
    if tokenize == "ja-mecab":
        pytest.importorskip("MeCab")
    said, right = texts
    theirs = metrics.BLEU(tokenize=tokenize).corpus_score(said, [right]).score
    by_language = Bleu(tokenize="by_language")
    assert of_corpus(by_language, scores(by_language, said, right, language)) == pytest.approx(theirs)
    plain = Bleu()
    assert of_corpus(plain, scores(plain, said, right)) != pytest.approx(theirs)


def test_a_protocol_may_choose_the_tokenizers_of_single_languages() -> None:
    metric = Bleu(tokenizers={"zh": "zh"})
    assert "|tok:13a,zh:zh|" in metric.signature
    said, right = CHINESE
    theirs = metrics.BLEU(tokenize="zh").corpus_score(said, [right]).score
    assert of_corpus(metric, scores(metric, said, right, "zh")) == pytest.approx(theirs)
    said, right = JAPANESE
    theirs = metrics.BLEU().corpus_score(said, [right]).score
    assert of_corpus(metric, scores(metric, said, right, "ja")) == pytest.approx(theirs)


def test_several_targets_are_several_references() -> None:
    several = [tuple(pair) for pair in zip(RIGHT, SAID[::-1], strict=True)]
    metric = Bleu()
    found = [
        metric.score(NOTHING, Reference(target=pair), Parsed(text), None)
        for text, pair in zip(SAID, several, strict=True)
    ]
    theirs = metrics.BLEU().corpus_score(SAID, [RIGHT, SAID[::-1]]).score
    assert of_corpus(metric, found) == pytest.approx(theirs)


def test_references_stand_sample_by_sample() -> None:
    """The survey's Table 16 hands all references to the first hypothesis, and scores 100 where half is wrong."""
    said, right = ["the cat sat on the mat", "a b c d"], ["the cat sat on the mat", "w x y z"]
    wrong_way_round = metrics.BLEU().corpus_score(said, [[text] for text in right]).score
    assert wrong_way_round == pytest.approx(100.0)
    ours = of_corpus(Bleu(), scores(Bleu(), said, right))
    assert ours == pytest.approx(metrics.BLEU().corpus_score(said, [right]).score) == pytest.approx(65.8, abs=0.1)


def test_a_sample_has_the_value_of_its_sentence() -> None:
    found = scores(Bleu(), SAID, RIGHT)
    theirs = metrics.BLEU(effective_order=True)
    assert [score.value for score in found] == pytest.approx(
        [theirs.sentence_score(said, [right]).score for said, right in zip(SAID, RIGHT, strict=True)]
    )


def test_signatures_name_settings_and_version() -> None:
    assert Bleu().signature.startswith("case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "|tok:13a,zh:zh,ja:ja-mecab,ko:ko-mecab|" in Bleu(tokenize="by_language").signature
    assert "|nw:2|" in Chrf(word_order=2).signature
    assert "|norm:yes|" in Ter(normalized=True).signature


def test_what_is_missing_is_said() -> None:
    with pytest.raises(DataError, match="reads the fact 'language'"):
        Bleu(tokenize="by_language").score(NOTHING, Reference(target="a"), Parsed("a"), None)
    with pytest.raises(DataError, match="the metric bleu needs right texts"):
        Bleu().score(NOTHING, Reference(target=2), Parsed("a"), None)


def test_an_order_of_words_changes_nothing_but_bleu() -> None:
    """A shuffled hypothesis has the same characters; chrF notes only the borders, BLEU the order."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    random.Random(3).shuffle(words)
    said, right = [" ".join(words)], ["one two three four five six seven eight"]
    assert of_corpus(Chrf(), scores(Chrf(), said, right)) > 2 * of_corpus(Bleu(), scores(Bleu(), said, right))
