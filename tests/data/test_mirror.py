"""A mirror is found by any of a data set's names, and says which rows it has."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, Split, load_split
from evalharness.errors import DataError, UsageError

ROWS = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(4)]


def _load(mirror: Any, split: str = "test", subset: str | None = None, **options: Any) -> Split:
    settings = SourceSettings(data_dir=mirror.root)
    return load_split(DataOptions(**options), split, subset=subset, settings=settings)


def test_a_whole_split(mirror: Any) -> None:
    path = mirror.split("org/sums/main/test", ROWS)
    split = _load(mirror, hub="org/sums", config="main")
    assert list(split.rows) == ROWS
    assert list(split.indices) == [0, 1, 2, 3]
    assert split.total == split.source.n == split.source.of == 4
    assert split.source.kind == "mirror"
    assert split.source.location == "org/sums/main/test.jsonl.gz"
    assert split.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert str(split.source) == "org/sums/main/test.jsonl.gz (mirror), 4 of 4 rows"


@pytest.mark.parametrize(
    ("source_rows", "rows", "of"),
    [(10, {}, 10), (10, {"test": 99}, 10), ("subset", {"test": 99}, 99), ("subset", {}, None)],
)
def test_a_part_knows_its_original_positions(
    mirror: Any, source_rows: Any, rows: dict[str, int], of: int | None
) -> None:
    indices = [1, 4, 5, 9]
    mirror.split("org/sums/main/test", ROWS, {"source_rows": source_rows, "seed": 0, "indices": indices})
    split = _load(mirror, hub="org/sums", config="main", rows=rows)
    assert list(split.indices) == indices
    assert (split.source.n, split.source.of, split.total) == (4, of, of)


def test_rows_of_the_task_outdo_the_length_of_a_file_without_indices(mirror: Any) -> None:
    mirror.split("org/sums/main/test", ROWS)
    assert _load(mirror, hub="org/sums", config="main", rows={"test": 1319}).source.of == 1319


@pytest.mark.parametrize("config", [None, "default", "sums"])
@pytest.mark.parametrize("hub", ["org/sums", "sums"])
def test_the_only_config_and_other_ids_are_honoured(mirror: Any, hub: str, config: str | None) -> None:
    mirror.split("org/sums/default/test", ROWS)
    mirror.aliases(ids={"sums": "org/sums"}, config_names={"org/sums": "sums"})
    assert len(_load(mirror, hub=hub, config=config).rows) == 4


def test_another_config_is_not_taken_for_the_default_one(mirror: Any) -> None:
    mirror.split("org/sums/default/test", ROWS)
    with pytest.raises(MissingDataError, match="no folder org/sums/hard"):
        _load(mirror, hub="org/sums", config="hard")


def test_a_subset_is_a_config(mirror: Any) -> None:
    mirror.split("org/exam/anatomy/test", ROWS[:1])
    mirror.split("org/exam/virology/test", ROWS[1:])
    options = {"hub": "org/exam", "subsets": {"medicine": ("anatomy", "virology")}}
    assert list(_load(mirror, subset="virology", **options).rows) == ROWS[1:]
    with pytest.raises(DataError, match="no subset 'virolgy'; did you mean 'virology'"):
        _load(mirror, subset="virolgy", **options)


def test_the_folder_above_the_mirror_and_the_environment_do_too(mirror: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.split("org/sums/main/test", ROWS)
    options = DataOptions(hub="org/sums", config="main")
    assert load_split(options, "test", settings=SourceSettings(data_dir=mirror.root.parent)).source.n == 4
    monkeypatch.setenv("EVALHARNESS_DATA", str(mirror.root))
    assert load_split(options, "test").source.n == 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"source_rows": 10, "indices": [0, 1]}, "4 rows but 2 indices"),
        ({"source_rows": 10, "indices": [0, 1, 1, 2]}, "negative or repeated"),
        ({"source_rows": 10, "indices": [-1, 0, 1, 2]}, "negative or repeated"),
        ({"source_rows": 3, "indices": [0, 1, 2, 3]}, "at position 3, but the original split 'test' is said to have 3"),
        ({"source_rows": 10, "indices": "all"}, "'indices' must be the list"),
        ({"source_rows": "half", "indices": [0, 1, 2, 3]}, "'source_rows' must be"),
    ],
)
def test_wrong_indices_are_refused(mirror: Any, content: dict[str, Any], sentence: str) -> None:
    mirror.split("org/sums/main/test", ROWS, content)
    with pytest.raises(DataError, match=sentence):
        _load(mirror, hub="org/sums", config="main")


def test_more_rows_than_the_task_says(mirror: Any) -> None:
    mirror.split("org/sums/main/test", ROWS)
    with pytest.raises(DataError, match=r"correct data\.rows"):
        _load(mirror, hub="org/sums", config="main", rows={"test": 3})


def test_an_empty_split_is_refused(mirror: Any) -> None:
    mirror.split("org/sums/main/test", [])
    with pytest.raises(DataError, match="has no rows"):
        _load(mirror, hub="org/sums", config="main")


def test_broken_side_files_are_named(mirror: Any) -> None:
    mirror.split("org/sums/main/test", ROWS)
    (mirror.root / "ALIASES.json").write_text("{")
    with pytest.raises(DataError, match=r"ALIASES\.json: not JSON"):
        _load(mirror, hub="org/sums", config="main")


def test_a_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = DataOptions(hub="org/sums")
    with pytest.raises(UsageError, match=r"--data-dir .*gone: no such folder"):
        load_split(options, "test", settings=SourceSettings(data_dir=tmp_path / "gone"))
    monkeypatch.setenv("EVALHARNESS_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"EVALHARNESS_DATA .*gone: no such folder"):
        load_split(options, "test")


@pytest.mark.parametrize(
    ("options", "split", "n", "of"),
    [
        ({"hub": "openai/gsm8k", "config": "main"}, "train", 7473, 7473),
        ({"hub": "gsm8k", "config": "main"}, "test", 1319, 1319),
        ({"hub": "Rowan/hellaswag", "rows": {"validation": 10042}}, "validation", 500, 10042),
        ({"hub": "allenai/ai2_arc", "config": "ARC-Easy"}, "test", 1188, 2376),
        ({"hub": "EleutherAI/lambada_openai", "config": "default"}, "test", 2577, 5153),
    ],
)
def test_counts_of_the_real_mirror(real_mirror: Path, options: dict[str, Any], split: str, n: int, of: int) -> None:
    source = load_split(DataOptions(**options), split, settings=SourceSettings(data_dir=real_mirror)).source
    assert (source.kind, source.n, source.of) == ("mirror", n, of)


def test_mmlu_of_the_real_mirror(real_mirror: Path) -> None:
    root = real_mirror / "mirror" if (real_mirror / "mirror").is_dir() else real_mirror
    subjects = tuple(sorted(folder.name for folder in (root / "cais/mmlu").iterdir()))
    options = DataOptions(hub="cais/mmlu", subsets={"all": subjects})
    settings = SourceSettings(data_dir=real_mirror)
    tests = [load_split(options, "test", subset=subject, settings=settings).source for subject in subjects]
    shots = [load_split(options, "dev", subset=subject, settings=settings).source for subject in subjects]
    assert len(subjects) == 57
    assert sum(source.of or 0 for source in tests) == 14042
    assert all((source.n, source.of) == (5, 5) for source in shots)


def test_another_id_of_the_same_rows(mirror: Any) -> None:
    options, settings = DataOptions(hub="new/sums", mirror="old/sums"), SourceSettings(data_dir=mirror.root)
    for place in ("old/sums/default/test", "new/sums/default/test"):  # the hub's own id goes before the other
        mirror.split(place, ROWS)
        assert load_split(options, "test", settings=settings).source.location == f"{place}.jsonl.gz"
