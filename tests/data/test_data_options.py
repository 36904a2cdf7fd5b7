"""The ``data:`` section says clearly what it wants."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.errors import DataError
from evalharness.options import parse_options


@pytest.mark.parametrize(
    "values",
    [
        {"hub": "org/name", "config": "main", "revision": "0" * 40, "rows": {"test": 3}, "demo": "gsm8k_demo"},
        {"hub": "name"},
        {"hub": "org/name", "package": "pack", "file": "rows.jsonl"},
        {"file": "rows.csv", "id": "key"},
        {"package": "pack", "file": "rows.jsonl"},
        {"generator": "coin_flip"},
        {"hub": "cais/mmlu", "subsets": {"stem": ["astronomy"], "other": ["anatomy", "virology"]}},
        {"hub": "a/b", "config": "all", "subsets": {"levels": ["easy"]}, "subset_column": "metadata.level"},
    ],
)
def test_sections_that_are_right(values: dict[str, Any]) -> None:
    assert parse_options(DataOptions, values, "task.yaml: data").split == "test"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "one source is needed but none is given"),
        ({"hub": "a/b", "generator": "coin_flip"}, "one source is needed but hub and generator is given"),
        ({"hub": "a/b", "file": "rows.jsonl"}, "one source is needed but hub and file is given"),
        ({"package": "pack"}, "package 'pack' needs file"),
        ({"file": "x.jsonl", "revision": "0" * 40}, "revision belongs to hub"),
        ({"generator": "coin_flip", "config": "main"}, "config belongs to hub"),
        ({"hub": "a/b", "revision": "main"}, "revision: String should match pattern"),
        ({"hub": "a/b", "config": "x", "subsets": {"g": ["y"]}}, "so remove config"),
        ({"hub": "a/b", "rows": {"test": 1}, "subsets": {"g": ["y"]}}, "numbers of rows differ; remove rows"),
        ({"generator": "coin_flip", "subsets": {"g": ["y"]}}, "generator, which has none; remove subsets"),
        ({"hub": "a/b", "subsets": {"g": ["y"], "h": ["y"]}}, "subset 'y' is listed twice"),
        (
            {"hub": "a/b", "subset_column": "level"},
            "subset_column is 'level', but no subsets are given; list its values",
        ),
        ({"hub": "../secret"}, "hub: String should match pattern"),
        ({"hub": "a/b", "config": "../../etc"}, "config: String should match pattern"),
        ({"hub": "a/b", "split": "../test"}, "split: String should match pattern"),
        ({"hub": "a/b", "rows": {"test": 0}}, "rows.test: Input should be greater than 0"),
        ({"hub": "a/b", "confg": "x"}, "confg: unknown key; did you mean 'config'?"),
    ],
)
def test_sections_that_are_wrong(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        parse_options(DataOptions, values, "task.yaml: data")
    assert str(error.value).startswith("task.yaml: data: ")
    assert "\n" not in str(error.value)


def test_subsets_keep_their_order() -> None:
    options = DataOptions(hub="a/b", subsets={"z": ("d", "c"), "a": ("b",)})
    assert options.subset_names == ("d", "c", "b")
