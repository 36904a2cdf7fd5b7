"""Packages that a program asks for and the Python of the boxes does not have."""

from __future__ import annotations

import re
from typing import Protocol

from evalharness.sandbox.outcome import LIMITS, Limits, Outcome

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w*)")


class Runner(Protocol):
    """What runs a whole program: a part of `elicitation.base.Executor`."""

    async def run(self, source: str, *, stdin: str = "", limits: Limits = ...) -> Outcome: ...


async def missing_package(outcome: Outcome, boxes: Runner, limits: Limits = LIMITS) -> str | None:
    """The package for want of which a program failed; None where it failed for another reason.

    What a program raises proves nothing, since it may raise what it likes: a box of its own tries the import again.
    """
    named = _MISSING.search(outcome.explanation or "")
    if outcome.status not in ("fail", "error") or named is None:
        return None
    tried = await boxes.run(f"import {named[1]}", limits=limits)
    return named[1] if tried.explanation == f"{named[0]}'" else None


def told_missing(package: str) -> str:
    """A clause for a user."""
    return f"Python of the boxes has no package '{package}'; --sandbox-python names an interpreter that has it"
