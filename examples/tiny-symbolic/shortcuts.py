"""What guessers that do not reason make of the same texts, asked the same test questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from texts import Row

Guesser = Callable[[Sequence[Row], Sequence[Row]], list[str]]
"""From rows to learn and rows to answer to answers."""


def constant(learned: Sequence[Row], asked: Sequence[Row]) -> list[str]:
    """The most frequent answer."""
    return [_most_frequent(learned)] * len(asked)


def length_table(learned: Sequence[Row], asked: Sequence[Row]) -> list[str]:
    """The most frequent answer among learned questions of as many words, or of all where there is none."""
    by_words = defaultdict(list)
    for row in learned:
        by_words[len(row.question.split())].append(row)
    answers = {words: _most_frequent(rows) for words, rows in by_words.items()}
    return [answers.get(len(row.question.split()), _most_frequent(learned)) for row in asked]


def linear_on_lengths(learned: Sequence[Row], asked: Sequence[Row]) -> list[str]:
    """Least squares from lengths (of the question in characters and words, of its first two names) to one-hot answers;
    the largest wins."""
    answers, labels = np.unique([row.answer for row in learned], return_inverse=True)
    weights = np.linalg.lstsq(_lengths(learned), np.eye(len(answers))[labels], rcond=None)[0]
    return [str(answers[at]) for at in (_lengths(asked) @ weights).argmax(axis=1)]


def look_up(learned: Sequence[Row], asked: Sequence[Row]) -> list[str]:
    """The answer of the learned question that shares most words with it (Jaccard), the first of tied ones."""
    place = {word: at for at, word in enumerate(sorted({w for row in learned for w in row.question.split()}))}
    known, bags = _bags(learned, place), _bags(asked, place)
    sizes = np.array([len(set(row.question.split())) for row in asked])
    shared = (bags @ known.T).toarray()
    nearest = (shared / (sizes[:, None] + known.sum(axis=1).A1 - shared)).argmax(axis=1)
    return [learned[at].answer for at in nearest]


GUESSERS: dict[str, Guesser] = {
    "constant": constant,
    "length table": length_table,
    "linear on lengths": linear_on_lengths,
    "look-up table": look_up,
}


def accuracies(learned: Sequence[Row], asked: Sequence[Row]) -> dict[str, float]:
    """By guesser, the share of right answers."""
    right = [row.answer for row in asked]
    return {name: float(np.mean(np.array(guess(learned, asked)) == right)) for name, guess in GUESSERS.items()}


def _most_frequent(rows: Sequence[Row]) -> str:
    return Counter(row.answer for row in rows).most_common(1)[0][0]


def _lengths(rows: Sequence[Row]) -> NDArray[np.float64]:
    return np.array(
        [[1, len(row.question), len(row.question.split()), *map(len, row.names[:2])] for row in rows], dtype=np.float64
    )


def _bags(rows: Sequence[Row], place: dict[str, int]) -> sparse.csr_matrix:
    """Which of the words in `place` stand in each question."""
    words = [[place[word] for word in set(row.question.split()) if word in place] for row in rows]
    columns = [at for each in words for at in each]
    starts = np.cumsum([0, *map(len, words)])
    return sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(rows), len(place)))
