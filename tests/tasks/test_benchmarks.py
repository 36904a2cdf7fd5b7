"""docs/benchmarks.md is what the task files and the table say, and no task is left out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import CLONE

from evalharness.data.settings import SourceSettings
from evalharness.errors import DataError
from evalharness.registry import shipped
from evalharness.tasks.availability import missing_data
from evalharness.tasks.benchmarks import TABLE, benchmark_table, page, running, task_facts
from evalharness.tasks.task import load_task

PAGE = CLONE / "docs" / "benchmarks.md"


def test_the_page_is_what_is_written_of_the_task_files() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew with make benchmarks"


def test_at_least_sixty_benchmarks_run() -> None:
    table = benchmark_table()
    found = running(task_facts(table).values(), table)
    assert len(found) >= 60
    assert f"**{len(found)} benchmarks run**" in page()


def test_parts_and_forms_of_a_benchmark_count_once() -> None:
    table = benchmark_table()
    facts = task_facts(table)
    parts = [
        facts[name] for name in ("arc_easy", "arc_challenge", "hendrycks_math", "math_500", "bfcl_multiple", "mmlu")
    ]
    assert running(parts, table) == ["ARC", "BFCL", "MATH", "mmlu"]


def test_what_needs_data_does_not_count() -> None:
    table = benchmark_table()
    facts = task_facts(table)
    assert not facts["hh_rlhf"].runs
    assert running([facts["hh_rlhf"]], table) == []
    assert "| HH-RLHF | runs with data from `Anthropic/hh-rlhf` as `hh_rlhf` (default), columns read in " in page()


def test_rows_of_our_own_are_no_benchmark() -> None:
    table = benchmark_table()
    own = task_facts(table)["refusals_own"]
    assert own.runs
    assert running([own], table) == []


def test_every_table_of_the_survey_is_there_whole() -> None:
    """Table 14 names 119 data sets, some of them several times, and one of them six years of WMT; Table 15 names 33
    works, and Table 16 measures on 27 data sets."""
    rows = {
        table.title.partition(":")[0]: [row.name for rows in table.abilities.values() for row in rows]
        for table in benchmark_table().tables
    }
    assert {title: len(names) for title, names in rows.items()} == {"Table 14": 122, "Table 15": 33, "Table 16": 27}


# --------------------------------------------------------------------------- faults


def _changed(tmp_path: Path, change: Any) -> Path:
    values = yaml.safe_load((shipped("tasks") / TABLE).read_text(encoding="utf-8"))
    change(values)
    path = tmp_path / "table.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True))
    return path


def test_a_task_that_no_row_names(tmp_path: Path) -> None:
    path = _changed(tmp_path, lambda values: values["further"].remove("ifeval"))
    with pytest.raises(DataError, match=r"the task 'ifeval' is in no row; name it in one, or under further"):
        task_facts(benchmark_table(path))


def test_a_row_whose_task_is_not_there(tmp_path: Path) -> None:
    path = _changed(tmp_path, lambda values: values["further"].append("ifevl"))
    with pytest.raises(DataError, match=r"there is no task 'ifevl'; did you mean 'ifeval'\?"):
        task_facts(benchmark_table(path))


@pytest.mark.parametrize(
    "row", [{"name": "X"}, {"name": "X", "tasks": ["mmlu"], "reason": "none"}, {"name": "X", "task": ["mmlu"]}]
)
def test_a_row_says_one_thing(tmp_path: Path, row: dict[str, Any]) -> None:
    path = _changed(tmp_path, lambda values: values["tables"][0]["abilities"].update(Own=[row]))
    with pytest.raises(DataError, match=r"abilities\.Own\.0"):
        benchmark_table(path)


# --------------------------------------------------------------------------- the mirror


@pytest.mark.long
def test_the_mirror_has_what_the_table_says() -> None:
    if "EVALHARNESS_DATA" not in os.environ:
        pytest.skip("needs EVALHARNESS_DATA: a mirror of the real benchmarks")
    facts = task_facts(benchmark_table())
    settings = SourceSettings(hub=False)
    found = {name: missing_data(load_task(name), settings) is None for name in facts}
    assert {name for name, task in facts.items() if task.runs != found[name]} == set()
