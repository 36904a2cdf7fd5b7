"""Answers of several spans, and answers that several people gave: the metrics of DROP and CoQA."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from statistics import fmean
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.match import raw_targets, token_f1, unanswered, words_of
from evalharness.types import Attempt, Parsed, Reference, Score

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class DropF1(Metric):
    """DROP's F1 of spans (Dua et al. 2019, arXiv:1903.00161), the best over the right answers in the fact `golds`.

    Spans said and right are paired one to one so that their F1s sum to the most, and the sum is divided by the number
    of the longer side's spans; a right span with numbers pairs only with one that has one of them. Words are compared
    in lower case, without punctuation and articles, numbers by value, parts of hyphenated words apart; rounded to two
    digits.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "drop_f1"
    exact: bool = False
    """1 where the spans are the same, else 0, in place of F1."""
    separator: str | None = None
    """Where what was said is parted into spans; the better of its parts and the whole counts. None: one span."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        golds = self.fact(reference, "golds")
        if not golds or not all(isinstance(spans, list | tuple) and spans for spans in golds):
            raise DataError(f"the metric '{self.name}' needs lists of spans as the fact 'golds', not {golds!r:.60}.")
        readings = [[answer.value]]
        if self.separator is not None:
            readings.append([part for part in answer.value.split(self.separator) if part.strip()] or [""])
        worth = _exact if self.exact else _f1
        return Score(max(worth(_normal(said), _normal(spans)) for said in readings for spans in golds))


def _normal(spans: Sequence[str]) -> list[str]:
    return [" ".join(filter(None, map(_word, re.split(" |-", span)))) for span in spans]


def _word(word: str) -> str:
    word = word.lower()
    text = word if _is_number(word) else word.translate(_NO_PUNCTUATION)
    if _is_number(text):
        text = str(float(text))
    return " ".join(_ARTICLES.sub(" ", text).split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _exact(said: Sequence[str], right: Sequence[str]) -> float:
    return float(set(said) == set(right) and len(said) == len(right))


def _f1(said: Sequence[str], right: Sequence[str]) -> float:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    bags_said, bags_right = ([set(span.split()) for span in spans] for spans in (said, right))
    scores = np.array([[_bag_f1(one, gold) for one in bags_said] for gold in bags_right])
    paired = scores[linear_sum_assignment(scores, maximize=True)].sum()
    return round(float(paired / max(len(said), len(right))), 2)


def _bag_f1(said: set[str], right: set[str]) -> float:
    numbers = {word for word in right if _is_number(word)}
    if numbers and not numbers & said:
        return 0.0
    common = len(said & right)
    precision = common / len(said) if said else 1.0
    recall = common / len(right) if right else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class LeaveOneOut(Metric):
    """CoQA's score (Reddy et al. 2019, arXiv:1808.07042): the answer is held against all right answers but one, and the
    mean over which is left out counts, since people are scored against each other so. With one right answer, that one.

    Right answers themselves do not score 1, unless all say the same.
    """

    needs: ClassVar[Needs] = "answer"
    tells_right: ClassVar[bool] = False
    metric: str = "leave_one_out"
    exact: bool = False
    """Equal words after SQuAD's normalisation, in place of their F1."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        said = words_of((answer.value if answer else None) or "")
        found = [self._worth(said, words_of(target)) for target in raw_targets(reference)]
        if len(found) == 1:
            return Score(found[0])
        return Score(fmean(max(found[:place] + found[place + 1 :]) for place in range(len(found))))

    def _worth(self, said: Sequence[str], right: Sequence[str]) -> float:
        return float(said == right) if self.exact else token_f1(said, right)
