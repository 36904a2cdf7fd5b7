"""The harness's own tasks as texts that a corpus must not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalharness.stack.corpus.decontamination import BenchmarkItem


def benchmark_items(tasks: Sequence[str], data_dir: Path | None, include: Sequence[Path]) -> Iterator[BenchmarkItem]:
    """Every sample of the evaluated splits, with the texts of all columns that the task asks or answers by.

    Not the rendered prompt: what a template says around each question would be found in other texts.

    Raises:
        UsageError: an unknown task.
        DataError: a malformed definition or data file.
        ServiceError: no source has a task's data.
    """
    from evalharness.data.samples import samples
    from evalharness.data.sources import SourceSettings, load_split
    from evalharness.stack.corpus.decontamination import BenchmarkItem
    from evalharness.tasks.task import expand, load_task

    settings = SourceSettings(data_dir=data_dir)
    for name in dict.fromkeys(item.name for item in expand(tasks, include)):
        task = load_task(name, include=include)
        data = task.definition.data
        for subset in task.subsets():
            split = load_split(data, data.split, subset=subset, settings=settings, base_dir=task.path.parent)
            for sample in samples(split, task.columns, subset=subset, id_column=data.id):
                yield BenchmarkItem(
                    task.name, sample.id, _texts([sample.row[column] for column in sorted(task.columns)])
                )


def _texts(value: Any) -> list[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [text for part in value for text in _texts(part)]
    return []
