"""Which rows of a suite run here, which need data, and which are not defined: by looking whether files are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalharness.data.at_hand import lacking, lacking_file
from evalharness.data.settings import SourceSettings
from evalharness.errors import DataError, nearest
from evalharness.tasks.definition import ColumnOptions, SuiteDefinition
from evalharness.tasks.task import DEFAULT, Task, load_task

State = Literal["runs here", "needs data", "not defined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """One row of a suite."""

    ability: str
    """Empty where the suite has no layout."""
    label: str
    task: str
    protocol: str
    metric: str
    """Empty for the first one of the task."""
    state: State
    why: str = ""
    """Which data, the reason why there is no definition, or what must be named."""
    note: str = ""


def availability(suite: SuiteDefinition, settings: SourceSettings, include: Sequence[Path] = ()) -> list[Available]:
    """The state of every row, in order.

    Raises:
        UsageError: an unknown task or protocol; the folder of data does not exist.
        DataError: a malformed definition, or a metric that a task does not have.
    """
    if not suite.layout:
        return [_of_entry(entry, settings, include) for entry in suite.entries]
    found = []
    for ability, column in suite.columns:
        note = "; ".join([*column.changes, *filter(None, [column.note])])
        shown = {"ability": ability, "label": column.label, "metric": column.metric or "", "note": note}
        if column.task is None:
            found.append(Available(**shown, task="", protocol="", state="not defined", why=column.empty or ""))
            continue
        state, why = _state(column.entry, settings, include, column.metric)
        found.append(Available(**shown, task=column.task, protocol=column.protocol or DEFAULT, state=state, why=why))
    return found


def why_missing(settings: SourceSettings, include: Sequence[Path] = ()) -> Callable[[ColumnOptions], str | None]:
    """What says of a column without a run which data it lacks; None where it lacks none."""

    def why(column: ColumnOptions) -> str | None:
        state, lacks = _state(column.entry, settings, include)
        return f"needs data: {lacks}" if state == "needs data" else None

    return why


def missing_data(task: Task, settings: SourceSettings) -> str | None:
    """What a run of this task lacks: rows, demonstrations, or a file beside them; None where it lacks nothing.

    Raises:
        UsageError: the folder of data does not exist.
    """
    definition, shown = task.definition, task.definition.demonstrations
    data = definition.data
    if task.subset is not None:
        data = data.model_copy(update={"subsets": {task.subset: tuple(filter(None, task.subsets()))}})
    splits = [data.split, *([data.join.split] if data.join else [])]
    if shown.shots and shown.split is not None:
        splits.append(shown.split)
    if found := lacking(data, tuple(splits), settings, task.path.parent):
        return found
    if shown.shots and shown.prompt_file is not None:
        missing = (lacking_file(shown.prompt_file, settings, subset) for subset in task.subsets())
        return next(filter(None, missing), None)
    return None


def _of_entry(entry: str | Mapping[str, Any], settings: SourceSettings, include: Sequence[Path]) -> Available:
    named = {"task": entry} if isinstance(entry, str) else dict(entry)
    state, why = _state(named, settings, include)
    name, protocol = str(named["task"]), str(named.get("protocol", DEFAULT))
    return Available(ability="", label=name, task=name, protocol=protocol, metric="", state=state, why=why)


def _state(
    entry: Mapping[str, Any], settings: SourceSettings, include: Sequence[Path], metric: str | None = None
) -> tuple[State, str]:
    task = load_task(
        entry["task"],
        protocol=entry.get("protocol", DEFAULT),
        method=entry.get("method"),
        shots=entry.get("shots"),
        include=include,
    )
    names = [each.name for each in task.metrics]
    if metric is not None and metric not in names:
        raise DataError(f"{task.name} has no metric '{metric}' under {task.protocol}; {nearest(metric, names)}")
    if found := missing_data(task, settings):
        return "needs data", found
    return "runs here", "with --judge-model" if task.asks_judge else ""
