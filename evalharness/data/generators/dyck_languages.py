"""Dyck languages: close the brackets that are still open, in the right order.

After dyck_languages of BIG-bench (Srivastava et al. 2022, arXiv:2206.04615) and of Suzgun et al. 2022,
arXiv:2210.09261: 4 to 10 brackets in the demonstrations and in ``test``, 16 to 28 in ``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream

_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``rationale`` and ``brackets``. Two to five are left open.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (4, 10), (16, 28))
    stream = random_stream("dyck_languages", split)

    def draw() -> tuple[str, ...]:
        return _brackets(stream, stream.randint(least, most), stream.randint(2, 5))

    return [_row(brackets) for brackets in islice(distinct(draw, split), ROWS)]


def _brackets(stream: Random, size: int, left_open: int) -> tuple[str, ...]:
    """A beginning of a balanced text: `size` brackets, or one more, of which `left_open` or fewer are not closed."""
    left_open = min(left_open, size - 2)
    size += (size - left_open) % 2
    to_open = (size + left_open) // 2
    brackets: list[str] = []
    stack: list[str] = []
    while len(brackets) < size:
        to_close = size - len(brackets) - to_open
        if to_open and (not stack or not to_close or stream.random() < 0.5):
            stack.append(stream.choice(tuple(_CLOSES)))
            brackets.append(stack[-1])
            to_open -= 1
        else:
            brackets.append(_CLOSES[stack.pop()])
    return tuple(brackets)


def _row(brackets: Sequence[str]) -> dict[str, Any]:
    stack: list[str] = []
    for bracket in brackets:
        if bracket in _CLOSES:
            stack.append(bracket)
        else:
            stack.pop()
    answer = " ".join(_CLOSES[bracket] for bracket in reversed(stack))
    return {
        "question": f"Close every bracket that is still open: {' '.join(brackets)}",
        "answer": answer,
        "rationale": f"Still open, from the first to the last, are {' '.join(stack)} and they close in the other "
        f"order: {answer}.",
        "brackets": list(brackets),
    }
