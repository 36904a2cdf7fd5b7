"""The answer of a worked solution as lm-eval 0.4 cuts it out: what its last box holds."""

from __future__ import annotations

_BOXED = "\\boxed"


def last_box(solution: str) -> str | None:
    r"""What stands in the last ``\boxed{...}``; None where there is none, or where it is never closed.

    Where ``\boxed `` with a blank is anywhere in the text, what follows the last one, to the next dollar sign. Braces
    are counted without regard to backslashes.
    """
    if f"{_BOXED} " in solution:
        return solution.rpartition(f"{_BOXED} ")[2].partition("$")[0]
    start = solution.rfind(_BOXED)
    opening = start + len(_BOXED)
    if start < 0 or not solution.startswith("{", opening):
        return None
    depth = 0
    for place in range(opening, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[place], 0)
        if depth == 0:
            return solution[opening + 1 : place]
    return None
