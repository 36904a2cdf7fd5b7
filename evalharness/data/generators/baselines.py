"""What a generated split is worth to a guesser that reads nothing but lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.registry import lookup

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

FOLDS = 5


def baselines(name: str, split: str) -> dict[str, float]:
    """Accuracies in [0, 1] on a split of the generator `name`; its rows have ``question``, ``answer``, ``names``.

    ``constant``: the most frequent answer, said every time.
    ``linear_on_lengths``: least squares from lengths (of the question, of each name, number of words) to
    one-hot answers, the largest wins; 5-fold, each row answered by a model that was fitted without it.

    Raises:
        UsageError: no such generator.
        DataError: no such split.
    """
    rows = lookup("generator", name)(split)
    answers = [row["answer"] for row in rows]
    return {
        "constant": Counter(answers).most_common(1)[0][1] / len(answers),
        "linear_on_lengths": _cross_validated_accuracy(_lengths(rows), answers),
    }


def _lengths(rows: Sequence[Mapping[str, Any]]) -> NDArray[numpy.float64]:
    """Features by row: 1, characters and words of the question, characters of each name."""
    import numpy

    return numpy.array(
        [
            [1, len(row["question"]), len(row["question"].split()), *(len(name) for name in row["names"])]
            for row in rows
        ],
        dtype=numpy.float64,
    )


def _cross_validated_accuracy(features: NDArray[numpy.float64], answers: Sequence[str]) -> float:
    import numpy

    classes, labels = numpy.unique(answers, return_inverse=True)
    one_hot = numpy.eye(len(classes))[labels]
    fold = numpy.arange(len(labels)) % FOLDS
    right = 0
    for held_out in range(FOLDS):
        fitted, tested = fold != held_out, fold == held_out
        weights = numpy.linalg.lstsq(features[fitted], one_hot[fitted], rcond=None)[0]
        right += int(((features[tested] @ weights).argmax(axis=1) == labels[tested]).sum())
    return right / len(labels)
