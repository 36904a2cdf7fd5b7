"""How many there are, against how many there should be."""

from __future__ import annotations

from evalharness.errors import DataError

RELATIONS = ("less than", "at least")


def unlike(found: int, relation: str, wanted: int, what: str) -> str | None:
    """None where the relation holds, else what is wrong: ``12 words, not at least 300``.

    Raises:
        DataError: another relation than IFEval has.
    """
    if relation not in RELATIONS:
        raise DataError(f"an instruction's relation is '{relation}'; it is one of '{RELATIONS[0]}', '{RELATIONS[1]}'.")
    holds = found < wanted if relation == RELATIONS[0] else found >= wanted
    return None if holds else f"{found} {what}, not {relation} {wanted}"


def not_exactly(found: int, wanted: int, what: str) -> str | None:
    """None where so many were wanted, else what is wrong."""
    return None if found == wanted else f"{found} {what}, not {wanted}"
