"""The rows that a task's demonstrations are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.data.options import DataOptions
from evalharness.data.prompt_file import load_prompt_file
from evalharness.data.samples import samples
from evalharness.data.sources import Source, SourceSettings, Split, load_split
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.demonstrations.options import DemonstrationOptions
from evalharness.tasks.task import Task
from evalharness.types import Sample


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows to choose demonstrations from."""

    samples: Sequence[Sample] = ()
    size: int = 0
    """Rows of the original pool, where `samples` are a part of it."""
    source: Source | None = None
    """None for rows that the definition itself holds."""


def load_pool(task: Task, subset: str | None, settings: SourceSettings) -> Pool:
    """The pool of a subset; nothing is read when no demonstration is shown.

    Raises:
        DataError: a malformed file, or one that lacks a column.
        ServiceError: no source has the pool.
    """
    options = task.definition.demonstrations
    if options.shots == 0:
        return Pool()
    if options.rows is not None:
        return _written(task, options, subset)
    split = _split(task, options, subset, settings)
    rows = list(samples(split, task.demonstration_columns, subset=subset))
    return Pool(rows, split.total or len(rows), split.source)


def _split(task: Task, options: DemonstrationOptions, subset: str | None, settings: SourceSettings) -> Split:
    base = task.path.parent
    if options.prompt_file is not None:
        return load_prompt_file(options.prompt_file, subset, settings)
    if options.file is not None:
        data = DataOptions(file=options.file, split="demonstrations")
        return load_split(data, "demonstrations", settings=settings, base_dir=base)
    return load_split(task.definition.data, str(options.split), subset=subset, settings=settings, base_dir=base)


def _written(task: Task, options: DemonstrationOptions, subset: str | None) -> Pool:
    columns = sorted(task.demonstration_columns)
    rows = [
        Sample(
            id=f"demonstration-{number}",
            index=number,
            row=row,
            subset=subset,
            content_hash=sha256_text(canonical_json({key: row.get(key) for key in columns})),
        )
        for number, row in enumerate(options.rows or ())
    ]
    return Pool(rows, len(rows))
