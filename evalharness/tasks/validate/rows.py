"""The rows that a task is checked on: its data where a source on this machine has them, else its examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.data.samples import samples
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.data.split import Split
from evalharness.errors import EvalHarnessError, nearest
from evalharness.tasks.pool import load_pool
from evalharness.tasks.protocol_hash import SYNTHETIC_SHOTS, synthetic_samples
from evalharness.tasks.task import Task
from evalharness.tasks.validate.findings import Fault
from evalharness.tasks.validate.retrieval_checks import check_corpus
from evalharness.types import Sample

MOST = 200
"""Rows of a subset that are rendered and scored, spread evenly; ids, golds and choices are read of every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Samples of a task, and demonstrations to stand before them."""

    every: Sequence[Sample]
    spread: Sequence[Sample]
    """At most `MOST` of each subset."""
    demonstrations: Sequence[Sample]
    real: bool
    """From the benchmark's own data, not from the examples of the file."""


def rows_of(task: Task, settings: SourceSettings) -> tuple[Rows, list[Fault]]:
    """The rows, and what was wrong on the way to them."""
    data = task.definition.data
    faults: list[Fault] = []
    every: list[Sample] = []
    spread: list[Sample] = []
    shown: list[Sample] = []
    for subset in task.subsets():
        try:
            split = load_split(data, data.split, subset=subset, settings=settings, base_dir=task.path.parent)
            faults += [fault for fault in check_corpus(split.source) if fault not in faults]
            found = list(samples(split, _present(task, split, faults), subset=subset, id_column=data.id))
            every += found
            spread += found[:: max(1, -(-len(found) // MOST))]
            if not shown:
                shown = list(load_pool(task, subset, settings).samples[: task.definition.demonstrations.shots])
        except MissingDataError as error:
            if not (data.hub or data.published):  # what is published elsewhere need not be on this machine
                faults.append(Fault("missing_source", "data", str(error)))
        except EvalHarnessError as error:
            faults.append(_data_fault(error))
    if every:
        return Rows(every=every, spread=spread, demonstrations=shown, real=True), faults
    written = synthetic_samples(task)
    if not written and not faults:
        sentence = "no rows to check: no source on this machine has the data, and the file writes no examples."
        faults.append(Fault("no_rows", "examples", sentence, "note"))
    few = min(task.definition.demonstrations.shots, SYNTHETIC_SHOTS)
    return Rows(every=written, spread=written, demonstrations=written[:few], real=False), faults


def _present(task: Task, split: Split, faults: list[Fault]) -> frozenset[str]:
    """The task's columns that the rows have; the others are faults of the templates that name them."""
    columns = frozenset(split.rows[0])
    for template in task.templates:
        for column in sorted((template.columns & task.columns) - columns):
            field = template.where.partition(": ")[2]
            fault = Fault("unknown_column", field, f"the rows have no column '{column}'; {nearest(column, columns)}")
            faults += [] if fault in faults else [fault]
    return task.columns & columns


def _data_fault(error: EvalHarnessError) -> Fault:
    sentence = str(error)
    if "both have the id" in sentence:
        return Fault("duplicated_id", "data.id", sentence)
    if "no such file" in sentence:
        return Fault("missing_source", "data.file", sentence)
    if "unknown generator" in sentence:
        return Fault("missing_source", "data.generator", sentence)
    return Fault("data", "data", sentence)
