"""Whether a program printed what is right, by the rules of APPS (Hendrycks et al. 2021, arXiv:2105.09938).

They are those of ``eval/testing_util.py`` at github.com/hendrycks/apps, commit 362aedc: a ladder of comparisons, of
which any is enough. The last ones forgive a wrong order and repeated lines, and words repeated or in a wrong order
within one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import isfinite
from typing import TypeVar

Value = TypeVar("Value", bound=Hashable)


def same_output(printed: str, right: str) -> bool:
    """Whether an output counts as right."""
    lines = printed.splitlines()
    if right.strip() in ("\n".join(lines).strip(), "\n".join(line.strip() for line in lines).strip()):
        return True
    wanted = [line.strip() for line in right.split("\n") if line]
    if lines == wanted:
        return True
    lines = [line for line in lines if line]
    return (
        lines == wanted
        or _close(_numbers(lines), _numbers(wanted))
        or _words(lines, str, blank=False) == _words(wanted, str)
        or _alike(lines, wanted)
    )


def _numbers(lines: Sequence[str]) -> list[float] | None:
    """One number a line; None where some line is none."""
    try:
        return [float(line) for line in lines]
    except ValueError:
        return None


def _close(said: list[float] | None, right: list[float] | None) -> bool:
    """``|said - right| <= 1e-8 + 1e-5 |right|`` for each, as ``numpy.allclose`` has it."""
    if said is None or right is None or len(said) != len(right):
        return False
    return all(
        one == other or (isfinite(one) and isfinite(other) and abs(one - other) <= 1e-8 + 1e-5 * abs(other))
        for one, other in zip(said, right, strict=True)
    )


def _words(lines: Sequence[str], value: Callable[[str], Value], *, blank: bool = True) -> set[frozenset[Value]]:
    """The set of the lines' sets of words."""
    return {frozenset(map(value, line.split())) for line in lines if blank or line.strip()}


def _alike(lines: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether both have the same words as numbers, rounded to three places."""

    def rounded(word: str) -> float:
        return round(float(word), 3)

    try:
        return _words(lines, rounded, blank=False) == _words(wanted, rounded)
    except ValueError:
        return False
