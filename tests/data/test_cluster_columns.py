"""Several columns may together name what samples share."""

from __future__ import annotations

from evalharness.data.options import DataOptions
from evalharness.data.samples import samples
from evalharness.data.split import Source, make_split

ROWS = [
    {"topic": "sums", "number": "1", "text": "a"},
    {"topic": "sums", "number": "1", "text": "b"},
    {"topic": "names", "number": "1", "text": "c"},
]


def _clusters(cluster: str | list[str]) -> list[str | None]:
    options = DataOptions.model_validate({"file": "own.jsonl", "cluster": cluster})
    split = make_split(ROWS, None, Source(kind="file", location="own.jsonl", split="test", n=3, of=3))
    return [sample.cluster for sample in samples(split, {"text"}, cluster_column=options.cluster)]


def test_samples_that_agree_in_every_column_are_one_cluster() -> None:
    first, second, third = _clusters(["topic", "number"])
    assert first == second != third
    assert len(set(_clusters("number"))) == 1


def test_one_column_in_a_list_is_that_column() -> None:
    assert _clusters(["number"]) == _clusters("number")
