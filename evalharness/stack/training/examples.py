"""Examples: what of a document a model is given, and what it is to say; and one sequence made of several.

Letters in names: N tokens of a document, I tokens that are given, O tokens to be said, S tokens of a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.packing import PADDING, Packed


class Example(NamedTuple):
    """A document in two parts."""

    inputs_I: NDArray[np.int64]
    targets_O: NDArray[np.int64]


def documents_of(packed: Packed) -> list[NDArray[Any]]:
    """The tokens of each document of a sequence, without padding."""
    told = packed.documents_T
    parts = np.split(packed.tokens_T, np.flatnonzero(np.diff(told)) + 1)
    return parts[:-1] if told[-1] == PADDING else parts


def joined(examples: Sequence[Example], length: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_]]:
    """One sequence of `length` tokens: of each example what is given, then what is to be said; and padding. With the
    document of each token, and whether it is given."""
    tokens_S, documents_S = np.zeros(length, np.int64), np.full(length, PADDING, np.int32)
    given_S = np.zeros(length, np.bool_)
    place = 0
    for number, (inputs_I, targets_O) in enumerate(examples):
        after = place + len(inputs_I) + len(targets_O)
        tokens_S[place:after] = np.concatenate([inputs_I, targets_O])
        documents_S[place:after] = number
        given_S[place : place + len(inputs_I)] = True
        place = after
    return tokens_S, documents_S, given_S
