"""Comparing a parsed answer with the right ones: exact match, lm-eval's exact match, token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

from pydantic import Field, field_validator

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.normalize import normalize
from evalharness.types import Attempt, Parsed, Reference, Score


class ExactMatch(Metric):
    """1 where the answer equals any of the targets in the parser's canonical form, else 0.

    Whether numbers are equal by value or letters by letter is thus the parser's matter.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "exact_match"
    ignore_case: bool = False
    ignore_punctuation: bool = False
    """ASCII punctuation."""
    ignore_articles: bool = False
    """The English words a, an, the."""
    tolerance: float | None = Field(default=None, gt=0.0)
    """Numbers that differ by less than this are equal: of what programs compute, ``0.30000000000000004`` is 0.3."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        said, targets = self._normalize(answer.value), _canonical_targets(reference, parser)
        return Score(float(any(said == self._normalize(target) or self._near(said, target) for target in targets)))

    def _near(self, said: str, target: str) -> bool:
        if self.tolerance is None:
            return False
        number, right = _number(said), _number(target)
        return number is not None and right is not None and abs(number - right) < Fraction(str(self.tolerance))

    def _normalize(self, text: str) -> str:
        return normalize(
            text, case=self.ignore_case, punctuation=self.ignore_punctuation, articles=self.ignore_articles
        )


class Contains(Metric):
    """1 where any target is part of the answer, letter by letter, else 0.

    What "A Survey of Large Language Models" calls EM of WikiFact (Zhao et al. 2023, arXiv:2303.18223).
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "contains"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        return Score(float(any(target.strip() in answer.value for target in raw_targets(reference))))


class F1(Metric):
    """Token F1, the best over the targets in the parser's canonical form: ``2 P R / (P + R)`` of bags of words.

    Words are what white space parts once case, punctuation and articles are gone (SQuAD; Rajpurkar et al.
    2016, arXiv:1606.05250). Where either side has no words, 1 if both have none, else 0 (SQuAD 2.0).
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "f1"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        said = words_of(answer.value)
        return Score(max(token_f1(said, words_of(target)) for target in _canonical_targets(reference, parser)))


class LmEvalExactMatch(Metric):
    """exact_match of lm-eval 0.4: answer and raw target stripped of the same things, in its order.

    The expressions are deleted first, then case, punctuation and digits are. With several targets any counts.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "lm_eval_exact_match"
    regexes_to_ignore: tuple[str, ...] = ()
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False

    @field_validator("regexes_to_ignore")
    @classmethod
    def _compilable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}.") from None
        return patterns

    @cached_property
    def _ignored(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern) for pattern in self.regexes_to_ignore]

    @cached_property
    def _deleted(self) -> dict[int, None]:
        """Characters to delete. Case, punctuation and digits do not touch each other, so one pass serves."""
        deleted = string.punctuation * self.ignore_punctuation + string.digits * self.ignore_numbers
        return dict.fromkeys(map(ord, deleted))

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        said = self._normalize(answer.value)
        return Score(float(any(said == self._normalize(target) for target in raw_targets(reference))))

    def _normalize(self, text: str) -> str:
        for pattern in self._ignored:
            text = pattern.sub("", text)
        if self.ignore_case:
            text = text.lower()
        return text.translate(self._deleted) if self._deleted else text


_NUMBER = re.compile(r"-?[0-9]{1,999}(?:\.[0-9]{1,999}|/0*[1-9][0-9]{0,999})?")


def _number(text: str) -> Fraction | None:
    """A number in a parser's canonical form; None for any other text, and for one of many digits."""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def unanswered(answer: Parsed | None) -> Score:
    """The score of a text in which no answer was found."""
    return Score(0.0, explanation=(answer.why if answer is not None else None) or "there is no answer")


def raw_targets(reference: Reference) -> Sequence[str]:
    """The right texts as the task gives them; for the position of a choice, the choice.

    Raises:
        DataError: there is no target.
    """
    return [
        target if isinstance(target, str) else reference.choices[target] if reference.choices else str(target)
        for target in _targets(reference)
    ]


def _canonical_targets(reference: Reference, parser: Parser | None) -> Sequence[str]:
    """The right texts as the parser would have read them.

    Raises:
        DataError: there is no target.
    """
    if parser is None:
        return raw_targets(reference)
    return [
        parser.canonical_choice(target, reference.choices)
        if isinstance(target, int) and reference.choices
        else parser.canonical(str(target))
        for target in _targets(reference)
    ]


def _targets(reference: Reference) -> Sequence[str | int]:
    target = reference.target
    if target is None or target == ():
        raise DataError("the sample has no target to compare the answer with; check the task's target.")
    return target if isinstance(target, tuple) else (target,)


def words_of(text: str) -> list[str]:
    """What white space parts once case, punctuation and articles are gone (SQuAD)."""
    return normalize(text, case=True, punctuation=True, articles=True).split()


def token_f1(said: Sequence[str], right: Sequence[str]) -> float:
    """``2 P R / (P + R)`` of two bags of words; where a side has none, 1 if both have none, else 0."""
    if not said or not right:
        return float(said == right)
    common = (Counter(said) & Counter(right)).total()
    return 2 * common / (len(said) + len(right))
