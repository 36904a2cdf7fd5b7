"""Names of people, of two to twelve letters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal


@cache
def names(which: Literal["first", "last"]) -> tuple[str, ...]:
    """All first or all last names, each once, sorted."""
    return tuple((Path(__file__).parent / f"{which}_names.txt").read_text(encoding="utf-8").split())
