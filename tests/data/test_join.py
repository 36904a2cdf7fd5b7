"""Questions in one split, answers in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data.conftest import MirrorWriter

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.errors import DataError
from evalharness.options import parse_options

QUESTIONS = [{"id": f"q{n}", "question": f"{n} + {n}?"} for n in range(3)]
ANSWERS = [{"id": f"q{n}", "answer": 2 * n} for n in (2, 0, 1, 3)]
JOIN: dict[str, Any] = {"join": {"split": "answers", "key": "id"}}


@pytest.fixture
def mirror(tmp_path: Path) -> MirrorWriter:
    return MirrorWriter(tmp_path)


def _load(mirror: MirrorWriter, split: str = "test", **options: Any) -> Any:
    return load_split(DataOptions(hub="org/sums", **{**JOIN, **options}), split,
                      settings=SourceSettings(data_dir=mirror.root))  # fmt: skip


def test_each_row_gets_the_columns_of_its_partner(mirror: MirrorWriter) -> None:
    mirror.split("org/sums/default/test", QUESTIONS)
    mirror.split("org/sums/default/answers", ANSWERS)
    split = _load(mirror)
    assert list(split.rows) == [{"id": f"q{n}", "answer": 2 * n, "question": f"{n} + {n}?"} for n in range(3)]
    assert (split.indices, split.total) == (range(3), 3)
    assert split.source.location == "org/sums/default/test.jsonl.gz"
    assert split.source.joined.location == "org/sums/default/answers.jsonl.gz"


def test_a_part_of_a_split_is_joined_too(mirror: MirrorWriter) -> None:
    mirror.split("org/sums/default/test", QUESTIONS[1:], {"source_rows": 3, "indices": [1, 2]})
    mirror.split("org/sums/default/answers", ANSWERS)
    split = _load(mirror)
    assert [row["answer"] for row in split.rows] == [2, 4]
    assert (split.indices, split.total) == ([1, 2], 3)


def test_other_splits_stay_as_they_are(mirror: MirrorWriter) -> None:
    mirror.split("org/sums/default/train", QUESTIONS)
    assert list(_load(mirror, "train").rows) == QUESTIONS


@pytest.mark.parametrize(
    ("answers", "key", "sentence"),
    [
        (ANSWERS[:2], "id", r"test.jsonl.gz: the row with 'q1' in column 'id' has no partner in .*answers.jsonl.gz"),
        (
            [*ANSWERS, ANSWERS[0]],
            "id",
            r"answers.jsonl.gz: two rows have 'q2' in column 'id'; a row is joined with one",
        ),
        ([{"answer": 1}], "id", "answers.jsonl.gz: no column 'id' in row 0"),
        (ANSWERS, "idd", "no column 'idd' in row 0 of split 'answers'; did you mean 'id'"),
        (
            [{**each, "question": "?"} for each in ANSWERS],
            "id",
            "have different values in column 'question' of the row",
        ),
        ([{"id": ["q0"], "answer": 1}], "id", r"\['q0'\] in column 'id' is no key"),
    ],
)
def test_rows_that_cannot_be_joined(mirror: MirrorWriter, answers: Any, key: str, sentence: str) -> None:
    mirror.split("org/sums/default/test", QUESTIONS)
    mirror.split("org/sums/default/answers", answers)
    with pytest.raises(DataError, match=sentence) as refused:
        _load(mirror, join={"split": "answers", "key": key})
    assert "\n" not in str(refused.value)


def test_both_splits_come_from_one_place(mirror: MirrorWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror without the answers is passed over, so that no question of one release meets an answer of another."""
    mirror.split("org/sums/default/test", [{"id": "q0", "question": "old?"}])
    package = tmp_path / "site/a_package_of_sums"
    (package / "data/answers").mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, rows in (("sums.json", QUESTIONS), ("answers/sums.json", ANSWERS)):
        (package / "data" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    join = {"split": "answers", "key": "id", "file": "data/answers/sums.json"}
    packaged = {"package": "a_package_of_sums", "file": "data/sums.json", "join": join}
    split = _load(mirror, **packaged)
    assert split.source.kind == split.source.joined.kind == "package"
    assert [row["answer"] for row in split.rows] == [0, 2, 4]
    with pytest.raises(MissingDataError, match=r"org/sums/default has no split 'answers'.*pip install the package"):
        _load(mirror, **{**packaged, "package": "a_package_that_is_not_there"})


def test_local_files(tmp_path: Path) -> None:
    for name, rows in (("test.jsonl", QUESTIONS), ("answers.jsonl", ANSWERS)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = load_split(DataOptions(file="{split}.jsonl", **JOIN), "test", base_dir=tmp_path)
    assert [row["answer"] for row in split.rows] == [0, 2, 4]
    join = {"split": "solutions", "key": "id", "file": "answers.jsonl"}
    split = load_split(DataOptions.model_validate({"file": "test.jsonl", "join": join}), "test", base_dir=tmp_path)
    assert [row["answer"] for row in split.rows] == [0, 2, 4]


@pytest.mark.parametrize(
    ("join", "sentence"),
    [
        ({"split": "test", "key": "id"}, "join.split is 'test', the evaluated split itself"),
        ({"split": "answers", "key": "id", "file": "a.jsonl"}, "join.file stands beside file, which is not given"),
        ({"split": "answers"}, "join.key: this key is required"),
        ({"split": "answers", "on": "id"}, "join.on: unknown key"),
    ],
)
def test_options_that_do_not_go_together(join: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        parse_options(DataOptions, {"hub": "org/sums", "join": join}, "data")
