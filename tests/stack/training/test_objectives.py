"""What is read, said and learned of packed sequences, token by token."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stack.corpus.packing import Packed
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.objectives import Batch, Objective, ObjectiveOptions, find_ids

END, MARKER = 0, (7, 8)


def sequence(*documents: list[int], padding: int = 0) -> Packed:
    """Documents one after another, and padding."""
    numbers = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    tokens = [id for document in documents for id in document] + [END] * padding
    return Packed(np.array(tokens, np.uint16), np.append(numbers, [-1] * padding).astype(np.int32))


def batch(*sequences: Packed, **options: Any) -> Batch:
    marker_ids = MARKER if options.get("marker") else ()
    objective = Objective(ObjectiveOptions.model_validate(options), seed=3, marker_ids=marker_ids)
    return objective.batch(sequences, range(len(sequences)))


def seen(of: Batch) -> list[list[str]]:
    """By sequence and token, the tokens that it sees: ``x`` for each."""
    length = of.inputs_BT.shape[1]
    mask = BatchAttention(of.documents_BT, of.prefix_BT)._mask(length, None, torch.device("cpu"))
    mask = mask.expand(len(of.inputs_BT), 1, length, length)
    return [["".join("x" if sees else "." for sees in row) for row in rows[0]] for rows in mask.tolist()]


TWO = sequence([5, 6, END], [4, END], padding=2)
ONE = sequence([1, 2, 3, 4, 5, 6, 9])


def test_a_batch_of_language_modelling() -> None:
    golden = batch(TWO, ONE)
    assert golden.inputs_BT.tolist() == [[5, 6, 0, 4, 0, 0], [1, 2, 3, 4, 5, 6]]
    assert golden.targets_BT.tolist() == [[6, 0, 4, 0, 0, 0], [2, 3, 4, 5, 6, 9]]
    # The 4 begins a document; what follows its end is padding.
    assert golden.weights_BT.tolist() == [[1, 1, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
    assert golden.positions.tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]]
    assert golden.documents_BT is not None
    assert golden.documents_BT.tolist() == [[0, 0, 0, 1, 1, -1], [0, 0, 0, 0, 0, 0]]
    assert golden.prefix_BT is None
    assert [tensor.dtype for tensor in (golden.inputs_BT, golden.targets_BT, golden.positions)] == [torch.int64] * 3
    assert (golden.weights_BT.dtype, golden.documents_BT.dtype) == (torch.float32, torch.int32)
    assert seen(golden)[0] == ["x.....", "xx....", "xxx...", "...x..", "...xx.", ".....x"]


def test_documents_are_told_only_where_there_are_several() -> None:
    # The second document of the first sequence is a target only, and still not learned from the one before.
    alone = batch(sequence([1, 2, END], [9]), sequence([5, END], padding=2))
    assert (alone.documents_BT, alone.positions.tolist()) == (None, [0, 1, 2])
    assert alone.weights_BT.tolist() == [[1, 1, 0], [1, 0, 0]]


def test_without_boundaries_the_next_document_is_learned() -> None:
    tokens = np.array([5, 6, END, 4, END, END], np.uint16)
    untold = batch(Packed(tokens, np.array([0, 0, 0, 0, 0, -1], np.int32)))
    assert (untold.documents_BT, untold.positions.tolist()) == (None, [0, 1, 2, 3, 4])
    assert untold.weights_BT.tolist() == [[1, 1, 1, 1, 0]]


def test_a_batch_of_prefixes_that_end_with_a_marker() -> None:
    texts = sequence([3, *MARKER, 4, END], [*MARKER, 5, *MARKER, END], [1, 2, END], padding=1)
    golden = batch(texts, name="prefix_lm", split="marker", marker="=")
    assert golden.inputs_BT.tolist() == [[3, 7, 8, 4, 0, 7, 8, 5, 7, 8, 0, 1, 2, 0]]
    assert golden.targets_BT.tolist() == [[7, 8, 4, 0, 7, 8, 5, 7, 8, 0, 1, 2, 0, 0]]
    # The first marker counts; the third document has none.
    assert golden.weights_BT.tolist() == [[0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]]
    assert golden.prefix_BT is not None
    assert golden.prefix_BT.int().tolist() == [[1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1]]
    assert seen(golden)[0][:8] == [
        "xxx...........",
        "xxx...........",
        "xxx...........",
        "xxxx..........",
        "xxxxx.........",
        ".....xx.......",
        ".....xx.......",
        ".....xxx......",
    ]
    assert seen(golden)[0][11:] == ["...........xxx"] * 3


def test_a_causal_prefix_may_be_learned_a_little() -> None:
    options = {"name": "prefix_lm", "split": "marker", "marker": "=", "attention": "causal"}
    texts = sequence([3, *MARKER, 4, END], [1, END], padding=1)
    assert batch(texts, **options).weights_BT.tolist() == [[0, 0, 1, 1, 0, 0, 0]]
    golden = batch(texts, **options, prefix_weight=0.25)
    assert golden.weights_BT.tolist() == [[0.25, 0.25, 1, 1, 0, 0.25, 0]]
    assert golden.prefix_BT is None
    assert seen(golden) == seen(batch(texts))


def test_padding_is_no_prefix() -> None:
    for options in ({"split": "marker", "marker": "="}, {"split": "random"}):
        golden = batch(sequence([3, *MARKER, 4, END], padding=2), name="prefix_lm", **options)
        assert golden.documents_BT is None
        assert golden.prefix_BT is not None
        assert not golden.prefix_BT[0, -1]
    assert seen(batch(sequence([3, *MARKER, 4, END], padding=2), name="prefix_lm", split="marker", marker="=")) == [
        ["xxx...", "xxx...", "xxx...", "xxxx..", "xxxxx.", "xxxxxx"]
    ]


def test_a_marker_across_the_end_of_a_sequence_is_none() -> None:
    cut = sequence([3, 4, MARKER[0]])
    assert batch(cut, name="prefix_lm", split="marker", marker="=").weights_BT.tolist() == [[0, 0]]
    last = sequence([3, *MARKER])
    assert batch(last, name="prefix_lm", split="marker", marker="=").weights_BT.tolist() == [[0, 0]]


def test_a_random_prefix_leaves_something_on_both_sides() -> None:
    objective = Objective(ObjectiveOptions(name="prefix_lm"), seed=5)
    made = objective.batch([sequence([1, 2, 3, 4, END])] * 2000, range(2000))
    assert made.prefix_BT is not None
    lengths = Counter(made.prefix_BT.sum(1).tolist())
    # 500 each; four standard deviations are 77.
    assert sorted(lengths) == [1, 2, 3, 4]
    assert all(abs(count - 500) < 77 for count in lengths.values())
    assert (made.weights_BT.sum(1) == 5 - made.prefix_BT.sum(1)).all()


DOCUMENTS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(sizes=DOCUMENTS, padding=st.integers(0, 3), place=st.integers(0, 2**40), seed=st.integers(0, 9))
def test_no_learned_target_is_seen(sizes: list[int], padding: int, place: int, seed: int) -> None:
    texts = sequence(*([1] * size for size in sizes), [1, 1], padding=padding)
    made = Objective(ObjectiveOptions(name="prefix_lm"), seed).batch([texts], [place])
    for token, (weight, row) in enumerate(zip(made.weights_BT[0], seen(made)[0], strict=True)):
        assert row[token] == "x"
        assert not (weight and "x" in row[token + 1 :])
    of = texts.documents_T
    for number, size in enumerate([*sizes, 2]):
        learned = made.weights_BT[0][(of[:-1] == number) & (of[1:] == number)]
        assert (learned > 0).any() == (size > 1)


def test_the_seed_and_the_place_decide_a_random_prefix() -> None:
    texts = [sequence([1] * 40, [2] * 24)] * 8

    def split(seed: int, places: list[int]) -> list[list[float]]:
        objective = Objective(ObjectiveOptions(name="prefix_lm"), seed)
        made: list[list[float]] = objective.batch(texts[: len(places)], places).weights_BT.tolist()
        return made

    every = split(1, list(range(8)))
    assert split(1, [2, 3]) + split(1, [0]) == [every[2], every[3], every[0]]
    assert len({tuple(row) for row in every}) > 1
    assert split(2, list(range(8))) != every


def test_a_golden_random_prefix() -> None:
    """A release that splits otherwise would not resume what an earlier one began."""
    made = Objective(ObjectiveOptions(name="prefix_lm"), 1).batch([sequence([1] * 20, [2] * 12)] * 3, [0, 1, 2])
    assert made.prefix_BT is not None
    assert [[row[:20].count(True), row[20:].count(True)] for row in made.prefix_BT.tolist()] == [
        [6, 10],
        [2, 11],
        [6, 4],
    ]


def test_ids_in_a_row_are_found() -> None:
    tokens = np.array([7, 7, 8, 7, 8, 8, 7], np.uint16)
    assert find_ids(tokens, (7, 8)).tolist() == [1, 3]
    assert find_ids(tokens, (7,)).tolist() == [0, 1, 3, 6]
    assert find_ids(tokens, (70_000,)).tolist() == []
    assert find_ids(tokens[:1], (7, 8)).tolist() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "lm", "split": "marker", "marker": "="}, "belong to the objective prefix_lm"),
        ({"name": "lm", "attention": "causal"}, "belong to the objective prefix_lm"),
        ({"name": "prefix_lm", "split": "marker"}, "the split 'marker' needs a marker"),
        ({"name": "prefix_lm", "marker": "="}, "the split 'random' takes none"),
        ({"name": "prefix_lm", "prefix_weight": 0.5}, "must be 0 with bidirectional attention"),
        ({"name": "prefix"}, "'lm' or 'prefix_lm'"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectiveOptions.model_validate(options)


def test_options_are_the_same_after_they_were_written() -> None:
    for options in (ObjectiveOptions(), ObjectiveOptions(name="prefix_lm", split="marker", marker="=")):
        assert ObjectiveOptions.model_validate(options.model_dump()) == options


def test_a_marker_without_tokens() -> None:
    with pytest.raises(TrainingError, match="makes no token of the marker '='"):
        Objective(ObjectiveOptions(name="prefix_lm", split="marker", marker="="))


def test_a_batch_moves_as_a_whole() -> None:
    moved = batch(TWO, ONE, name="prefix_lm").to(torch.device("meta"))
    assert all(getattr(moved, name).device.type == "meta" for name in Batch.__slots__)
    assert batch(ONE).to(torch.device("meta")).documents_BT is None
