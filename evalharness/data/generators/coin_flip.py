"""Coin flip: does a coin that starts heads up still lie heads up after some people flipped it?

Wei et al. 2022, arXiv:2201.11903, section 5 and appendix: two people as in the demonstrations (``train``,
``test``), three and four as the tests of length generalisation (``test_3``, ``test_4``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.names import names
from evalharness.data.generators.splits import ROWS, distinct, people_in, random_stream

_TIMES = ("0 times", "1 time", "2 times", "3 times", "4 times")


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` (yes or no), ``rationale`` and ``names``.

    Who flips runs through all 2^people patterns in Gray code, where neighbours differ in one flip: yes and no
    come 500 times each, and each number of flips as often as its patterns are. So no answer is likelier, and none
    is a linear function of a length. (The number of words gives away the number of flips, in the paper's
    questions as here; its parity is what a linear reader cannot see.)

    Raises:
        DataError: no such split.
    """
    people = people_in(split)
    stream = random_stream("coin_flip", split)
    groups = islice(distinct(lambda: tuple(stream.sample(names("first"), people)), split), ROWS)
    rows = [_row(group, _gray_code(number, people)) for number, group in enumerate(groups)]
    stream.shuffle(rows)
    return rows


def _gray_code(number: int, bits: int) -> list[bool]:
    """The number's place in reflected binary Gray code, over and over: n xor (n >> 1), n modulo 2^bits."""
    n = number % 2**bits
    return [bool((n ^ n >> 1) >> bit & 1) for bit in range(bits)]


def _row(group: Sequence[str], flips: Sequence[bool]) -> dict[str, Any]:
    acts = " ".join(
        f"{name} {'flips' if flip else 'does not flip'} the coin." for name, flip in zip(group, flips, strict=True)
    )
    return {
        "question": f"A coin is heads up. {acts} Is the coin still heads up?",
        "answer": "no" if sum(flips) % 2 else "yes",
        "rationale": _rationale([name for name, flip in zip(group, flips, strict=True) if flip]),
        "names": list(group),
    }


def _rationale(flippers: Sequence[str]) -> str:
    count = len(flippers)
    head = f"The coin was flipped by {_enumerated(flippers)}. So the coin was flipped {_TIMES[count]}"
    if count == 0:
        return f"{head}. The coin started heads up, and it was not flipped, so it is still heads up."
    parity, result = ("odd", "be tails up") if count % 2 else ("even", "still be heads up")
    return (
        f"{head}, which is an {parity} number. The coin started heads up, "
        f"so after an {parity} number of flips, it will {result}."
    )


def _enumerated(flippers: Sequence[str]) -> str:
    if len(flippers) < 3:
        return " and ".join(flippers) or "no one"
    return f"{', '.join(flippers[:-1])}, and {flippers[-1]}"
