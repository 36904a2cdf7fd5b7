"""What a generated split is worth to guessers that do not reason: shortcuts."""

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
    """Accuracies in [0, 1] on a split of the generator `name`; its rows have ``question``, ``answer`` and one list.

    ``constant``: the most frequent answer, said every time.
    ``linear_on_lengths``: least squares from lengths (of the question, of each entry of the list, number of
    words) to one-hot answers, the largest wins; 5-fold, each row answered by a model that was fitted without it.
    ``look_up``: the answer of the row of ``train`` whose question shares most words with it (Jaccard), the first of
    tied ones; on ``train`` itself another row.
    ``most_named``, where rows have ``candidates``: the one that the question names most often, the first of tied ones.

    Raises:
        UsageError: no such generator.
        DataError: no such split.
    """
    generate = lookup("generator", name)
    rows, known = generate(split), generate("train")
    answers = [row["answer"] for row in rows]
    return {
        "constant": Counter(answers).most_common(1)[0][1] / len(answers),
        "linear_on_lengths": _cross_validated_accuracy(_lengths(rows), answers),
        "look_up": _looked_up(rows, known, others=split == "train"),
        **({"most_named": _most_named(rows)} if "candidates" in rows[0] else {}),
    }


def _most_named(rows: Sequence[Mapping[str, Any]]) -> float:
    right: int = sum(max(row["candidates"], key=row["question"].count) == row["answer"] for row in rows)
    return right / len(rows)


def _lengths(rows: Sequence[Mapping[str, Any]]) -> NDArray[numpy.float64]:
    """Features by row: 1, characters and words of the question, characters of each entry of its list, 0 beyond it."""
    import numpy

    entries = [next(value for value in row.values() if isinstance(value, list)) for row in rows]
    most = max(map(len, entries))
    return numpy.array(
        [
            [1, len(row["question"]), len(row["question"].split()), *map(len, each), *[0] * (most - len(each))]
            for row, each in zip(rows, entries, strict=True)
        ],
        dtype=numpy.float64,
    )


def _looked_up(rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]], *, others: bool) -> float:
    import numpy

    words = sorted({word for row in (*rows, *known) for word in row["question"].split()})
    place = {word: number for number, word in enumerate(words)}

    def bags(of: Sequence[Mapping[str, Any]]) -> NDArray[numpy.float64]:
        bag = numpy.zeros((len(of), len(words)))
        for number, row in enumerate(of):
            bag[number, [place[word] for word in row["question"].split()]] = 1
        return bag

    asked, shown = bags(rows), bags(known)
    shared = asked @ shown.T
    similarity = shared / (asked.sum(axis=1)[:, None] + shown.sum(axis=1) - shared)
    if others:
        numpy.fill_diagonal(similarity, -1)
    nearest = similarity.argmax(axis=1)
    right: int = sum(row["answer"] == known[at]["answer"] for row, at in zip(rows, nearest, strict=True))
    return right / len(rows)


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
