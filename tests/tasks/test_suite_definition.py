"""What a suite's file may say: tasks, or a layout of columns that have one or say why they have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evalharness.errors import DataError
from evalharness.tasks.task import expand, suites_in

ARC = {"label": "ARC", "task": "arc_easy", "shots": 25, "metric": "acc", "note": "n"}


def _write(folder: Path, **values: Any) -> str:
    (folder / "mine.yaml").write_text(yaml.safe_dump({"suite": "mine", "description": "Mine.", **values}))
    return str(folder / "mine.yaml")


def test_columns_become_tasks(tmp_path: Path) -> None:
    house = {"label": "House", "empty": "nowhere"}
    path = _write(tmp_path, layout={"One": [ARC, house], "Two": [{**ARC, "metric": "acc_norm"}, {**ARC, "shots": 0}]})
    found = expand([path])
    assert [(item.name, item.options, item.suite, item.average, item.may_be_missing) for item in found] == [
        ("arc_easy", {"shots": 25}, "mine", False, True),
        ("arc_easy", {"shots": 0}, "mine", False, True),
    ]
    (suite,) = suites_in([path, "quick", path])[:1]
    assert [ability for ability, _ in suite.columns] == ["One", "One", "Two", "Two"]
    assert [each.suite for each in suites_in([path, "gsm8k", "quick"])] == ["mine", "quick"]


def test_plain_suites_are_what_they_were() -> None:
    assert not any(item.may_be_missing for item in expand(["quick"]))
    assert [item.average for item in expand(["quick"])] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "tasks: give some, or a layout in their place"),
        ({"tasks": ["gsm8k"], "layout": {"One": [ARC]}}, "tasks: give some, or a layout in their place"),
        ({"layout": {"One": [{"label": "A"}]}}, "A: give a task, or under 'empty' the reason why there is none"),
        ({"layout": {"One": [{**ARC, "empty": "why"}]}}, "ARC: give a task, or under 'empty' the reason why"),
        ({"layout": {"One": [{**ARC, "metrik": "acc"}]}}, "unknown key; did you mean 'metric'?"),
        ({"layout": {"One": [{**ARC, "over": "groups"}]}}, "layout.One.0.over"),
    ],
)
def test_a_faulty_suite_is_a_sentence(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    path = _write(tmp_path, **values)
    with pytest.raises(DataError) as refused:
        expand([path])
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
