"""Which files inputs name, in which order, and by which names and domains."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalharness.stack.errors import TextFileError
from evalharness.stack.tokenization.text_files import find_text_files


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_a_folder_is_read_in_the_order_of_names_and_domains_are_its_folders(tmp_path: Path) -> None:
    for name in ("b/two.txt", "b/one.jsonl", "a/deep/three.txt.gz", "four.txt", "notes.md"):
        written(tmp_path / "texts" / name)
    found = find_text_files([str(tmp_path / "texts")])
    assert [(file.name, file.domain) for file in found] == [
        ("texts/a/deep/three.txt.gz", "a"),
        ("texts/b/one.jsonl", "b"),
        ("texts/b/two.txt", "b"),
        ("texts/four.txt", "texts"),
    ]


def test_a_domain_may_be_given(tmp_path: Path) -> None:
    written(tmp_path / "a/x.txt")
    written(tmp_path / "y.en.txt")
    found = find_text_files([f"mine={tmp_path / 'a'}", f"yours={tmp_path / 'y.en.txt'}"])
    assert [file.domain for file in found] == ["mine", "yours"]
    assert find_text_files([str(tmp_path / "y.en.txt")])[0].domain == "y"


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    path = written(tmp_path / "a=b.txt")
    assert find_text_files([str(path)])[0].path == path


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing.txt", "does not exist"), ("empty", "holds no texts"), ("table.csv", "is of no known kind")],
)
def test_inputs_that_are_no_texts(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    written(tmp_path / "table.csv")
    with pytest.raises(TextFileError, match=f"{name} {said}"):
        find_text_files([str(tmp_path / name)])


def test_a_file_named_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt")
    with pytest.raises(TextFileError, match=r"x\.txt is named twice"):
        find_text_files([str(path), str(tmp_path)])
