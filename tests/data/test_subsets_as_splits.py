"""Subsets that are splits of one configuration: ``split: "{subset}"``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.data.at_hand import lacking
from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split

OPTIONS: dict[str, Any] = {"hub": "org/pairs", "config": "all", "split": "{subset}", "subsets": {"g": ("Easy", "Hard")}}


def test_each_subset_is_the_split_of_its_name(mirror: Any) -> None:
    mirror.split("org/pairs/all/Easy", [{"text": "a"}])
    mirror.split("org/pairs/all/Hard", [{"text": "b"}, {"text": "c"}])
    options, settings = DataOptions(**OPTIONS), SourceSettings(data_dir=mirror.root, hub=False)
    hard = load_split(options, options.split, subset="Hard", settings=settings)
    assert [row["text"] for row in hard.rows] == ["b", "c"]
    assert (hard.source.config, hard.source.split, hard.source.of) == ("all", "Hard", 2)
    assert lacking(options, (options.split,), settings, Path()) is None


def test_a_missing_split_is_named(mirror: Any) -> None:
    mirror.split("org/pairs/all/Easy", [{"text": "a"}])
    options, settings = DataOptions(**OPTIONS), SourceSettings(data_dir=mirror.root, hub=False)
    with pytest.raises(MissingDataError, match="has no split 'Hard'"):
        load_split(options, options.split, subset="Hard", settings=settings)
    assert lacking(options, (options.split,), settings, Path()) == "org/pairs (all), split 'Hard'"


@pytest.mark.parametrize(
    "change", [{"subsets": {}}, {"subset_column": "level"}, {"join": {"split": "answers", "key": "id"}}]
)
def test_it_takes_subsets_and_nothing_that_goes_by_a_split(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"split is '\{subset\}', which takes subsets"):
        DataOptions(**{**OPTIONS, **change})
