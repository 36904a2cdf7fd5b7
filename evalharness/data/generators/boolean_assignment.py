"""Boolean variable assignment: what is the value of the last variable of a few lines that define one from others?

After Anil et al. 2022, arXiv:2207.04901 (section 2): four to six lines in the demonstrations and in ``test``, nine to
thirteen in ``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

from evalharness.data.generators.splits import balanced, distinct, length_in, random_stream

_VARIABLES = "abcdefghijklmnopqrstuvwxyz"


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` (1 or 0, 500 each), ``rationale`` and ``lines``.

    The first two lines give constants, each later one defines its variable from one or two earlier ones. Constants are
    digits: words of unequal length would give something away.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (4, 6), (9, 13))
    stream = random_stream("boolean_assignment", split)

    def draw() -> tuple[str, ...]:
        return _lines(stream, stream.randint(least, most))

    return balanced((_row(lines) for lines in distinct(draw, split)), ("1", "0"))


def _lines(stream: Random, size: int) -> tuple[str, ...]:
    names = stream.sample(_VARIABLES, size)
    lines = [f"{name} = {stream.choice('01')}" for name in islice(names, 2)]
    for place in range(2, size):
        earlier = stream.sample(names[:place], 2)
        operation = stream.choice(("copy", "not", "and", "or"))
        if operation in ("and", "or"):
            lines.append(f"{names[place]} = {earlier[0]} {operation} {earlier[1]}")
        else:
            # From the line before, so that the last value hangs on a chain of them.
            lines.append(f"{names[place]} = {'not ' * (operation == 'not')}{names[place - 1]}")
    return tuple(lines)


def _row(lines: Sequence[str]) -> dict[str, Any]:
    values: dict[str, bool] = {}
    steps = []
    for line in lines:
        name, _, right = line.partition(" = ")
        values[name] = _value(right.split(), values)
        steps.append(f"{name} is {values[name]:d}")
    last = lines[-1].partition(" = ")[0]
    return {
        "question": f"{'; '.join(lines)}. What is the value of {last}?",
        "answer": f"{values[last]:d}",
        "rationale": f"{', '.join(steps)}.",
        "lines": list(lines),
    }


def _value(words: Sequence[str], values: dict[str, bool]) -> bool:
    """Of the right side of a line: a constant, a variable, ``not`` one, or two of them joined."""
    known = {**values, "1": True, "0": False}
    match words:
        case ["not", one]:
            return not known[one]
        case [one, "and", other]:
            return known[one] and known[other]
        case [one, "or", other]:
            return known[one] or known[other]
    return known[words[0]]
