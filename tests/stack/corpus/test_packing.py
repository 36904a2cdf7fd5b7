"""Sequences hold every token that the counts do not name as dropped, and say which document it is of."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from stack.corpus.built import Make

from evalharness.stack.corpus.options import PackingOptions
from evalharness.stack.corpus.packing import PADDING, PackedSource, best_fit


def packed(make: Make, sizes: list[int], **options: object) -> PackedSource:
    """Documents of so many tokens (their end included), over several shards; padding is id 255."""
    texts = [f"{number % 10}" * (size - 1) for number, size in enumerate(sizes)]
    corpus = make(texts, deduplication={"exact": False}, shard_tokens=50)
    return PackedSource(corpus.sources["texts"], PackingOptions.model_validate(options), padding_id=255)


SIZES = [5, 3, 16, 40, 2, 9, 100, 8, 8, 31, 2]


def test_cut_is_one_text_in_equal_parts(make: Make) -> None:
    source = packed(make, SIZES, length=16, method="cut")
    counts = source.counts()
    every = np.concatenate([source[number].tokens_T for number in range(len(source))])
    expected = np.concatenate([[*(f"{n % 10}" * (size - 1)).encode(), 256] for n, size in enumerate(SIZES)])
    assert every.tolist() == expected[: len(every)].tolist()
    assert (counts.tokens, counts.sequences, counts.padded, counts.dropped) == (224, 14, 0, 0)
    assert len(packed(make, [*SIZES, 7], length=16)) == 14
    assert packed(make, [*SIZES, 7], length=16).counts().dropped == 7


def test_boundaries_are_told_for_each_token(make: Make) -> None:
    source = packed(make, [5, 3, 16, 40], length=16)
    assert source[0].documents_T.tolist() == [0] * 5 + [1] * 3 + [2] * 8
    assert source[1].documents_T.tolist() == [0] * 8 + [1] * 8
    assert source[2].documents_T.tolist() == [0] * 16
    assert source.counts().cut == 2
    without = packed(make, [5, 3, 16, 40], length=16, boundaries=False)
    assert without[0].documents_T.tolist() == [0] * 16
    assert without[0].tokens_T.tolist() == source[0].tokens_T.tolist()


def test_best_fit_keeps_documents_whole_where_they_fit(make: Make) -> None:
    source = packed(make, SIZES, length=16, method="best_fit")
    counts = source.counts()
    assert counts.tokens == sum(SIZES) == counts.sequences * 16 - counts.padded
    assert (counts.dropped, counts.cut) == (0, 3)
    seen = []
    for number in range(len(source)):
        tokens, documents = source[number]
        assert (tokens[documents == PADDING] == 255).all()
        assert (np.diff(documents[documents != PADDING]) >= 0).all()
        seen += tokens[documents != PADDING].tolist()
    assert sorted(seen) == sorted(
        np.concatenate([[*(f"{n % 10}" * (s - 1)).encode(), 256] for n, s in enumerate(SIZES)])
    )
    unmarked = packed(make, SIZES, length=16, method="best_fit", boundaries=False)
    assert set(unmarked[len(unmarked) - 1].documents_T.tolist()) <= {0, PADDING}


def test_best_fit_takes_the_bin_with_the_least_room() -> None:
    bins = best_fit([6, 5, 4, 3, 2], 10)
    assert [[size for _, _, size in parts] for parts in bins] == [[6, 4], [5, 3, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_best_fit_loses_and_doubles_nothing(seed: int) -> None:
    draw = random.Random(seed)
    sizes = [draw.choice([0, 1, 5, 17, 64, 65, 200]) for _ in range(300)]
    bins = best_fit(sizes, 64)
    assert all(0 < sum(size for _, _, size in parts) <= 64 for parts in bins)
    parts = sorted(part for parts in bins for part in parts)
    for document, size in enumerate(sizes):
        own = [part for part in parts if part[0] == document]
        assert sum(part[2] for part in own) == size
        assert all(one[1] + one[2] == other[1] for one, other in pairwise(own))
    # First and best fit decreasing need at most 11/9 of the bins that the best packing needs (Johnson 1974).
    assert len(bins) <= 11 / 9 * (sum(sizes) / 64 + 1) + 1


def test_there_is_no_sequence_beyond_the_last(make: Make) -> None:
    source = packed(make, [5, 3], length=4)
    assert len(source) == 2
    for number in (-1, 2):
        with pytest.raises(IndexError, match=f"sequence {number} of 2"):
            source[number]
    assert len(packed(make, [3], length=4)) == 0
