"""Whether what judges are given of right answers can be judged at all; nothing is executed and no judge is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault
from evalharness.types import Reference, Sample

References = Sequence[tuple[Sample, Reference]]


def check_judging(task: Task, references: References) -> Iterator[Fault]:
    """Render what every judge would judge of every row's right answer, and tell the first fault of each option."""
    told: set[tuple[int, str]] = set()
    for sample, reference in references:
        answer = task.right_answer(reference)
        for number, judge in enumerate(task.judges):
            for option, sentence in judge.faults(sample, answer):
                if (number, option) not in told:
                    told.add((number, option))
                    yield Fault("unfit_for_judging", f"judging[{number}].{option}", sentence)
