"""What the rows show to be wrong: of the data, or of a definition that does not fit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault
from evalharness.tasks.validate.rows import Rows
from evalharness.types import Reference, Sample

ENOUGH = 20
"""Rows from which on it is no accident that the right choice always stands at one position."""

References = Sequence[tuple[Sample, Reference]]


def check_choices(task: Task, rows: Rows, references: References) -> Iterator[Fault]:
    """Numbers of choices, empty choices, and the positions of the right ones. `references` are of every row."""
    choices = task.definition.choices
    if choices is None or not references:
        return
    counts = sorted({len(reference.choices) for _, reference in references})
    if choices.count is None and len(counts) > 1:
        yield Fault(
            "unequal_choices",
            "choices.texts",
            f"the rows have {_spoken(counts)} choices; say choices.count: varies if that is right.",
        )
    if isinstance(choices.count, int) and counts != [choices.count]:
        yield Fault(
            "unequal_choices", "choices.count", f"the rows have {_spoken(counts)} choices, not {choices.count}."
        )
    empty = next((sample for sample, reference in references if "" in reference.choices), None)
    if empty is not None:
        yield Fault(
            "empty_choice", "choices.texts", f"a choice of sample {empty.id} is empty; every choice needs a text."
        )
    yield from _positions(task, rows, references)


def _positions(task: Task, rows: Rows, references: References) -> Iterator[Fault]:
    telling = [reference for _, reference in references if len(_golds(reference)) < len(reference.choices)]
    firsts = {_golds(reference)[0] for reference in telling}
    if rows.real and len(telling) >= ENOUGH and len(firsts) == 1:
        several = task.definition.choices is not None and task.definition.choices.golds is not None
        yield Fault(
            "gold_position",
            "choices.golds" if several else "choices.gold",
            f"the {'first ' if several else ''}right choice stands at position {firsts.pop()} in all {len(telling)} "
            "rows, so a model that likes that position scores 1; check the expression, or shuffle the data.",
        )


def _golds(reference: Reference) -> tuple[object, ...]:
    target = reference.target
    return target if isinstance(target, tuple) else (target,)


def _spoken(counts: Sequence[int]) -> str:
    return " and ".join(map(str, counts)) if len(counts) < 3 else f"{counts[0]} to {counts[-1]}"
