"""What is at hand is found by looking where files would be; nothing is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.data.at_hand import lacking, lacking_file
from evalharness.data.options import DataOptions, PublishedOptions
from evalharness.data.settings import SourceSettings
from evalharness.hashing import sha256_text
from evalharness.options import parse_options

FILE = {"path": "prompts/one.txt", "url": "https://example.org/one.txt"}


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("EVALHARNESS_DATA", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x00 no rows: nobody reads them")


def _lacking(tmp_path: Path, splits: tuple[str, ...] = ("test",), **data: Any) -> str | None:
    (tmp_path / "mirror").mkdir(exist_ok=True)
    settings = SourceSettings(data_dir=tmp_path / "mirror")
    return lacking(parse_options(DataOptions, data, "data"), splits, settings, tmp_path)


def test_a_mirror_has_the_splits_that_are_files_of_it(tmp_path: Path) -> None:
    _touch(tmp_path / "mirror/org/name/main/test.jsonl.gz")
    data: dict[str, Any] = {"hub": "org/name", "config": "main"}
    assert _lacking(tmp_path, **data) is None
    assert _lacking(tmp_path, ("test", "train"), **data) == "org/name (main), split 'train'"
    assert _lacking(tmp_path, hub="org/other") == "org/other, split 'test'"


def test_every_subset_must_be_there(tmp_path: Path) -> None:
    _touch(tmp_path / "mirror/org/name/one/test.jsonl.gz")
    subsets = {"all": ["one", "two"]}
    assert _lacking(tmp_path, hub="org/name", subsets=subsets) == "org/name (two), split 'test'"
    _touch(tmp_path / "mirror/org/name/two/test.jsonl.gz")
    assert _lacking(tmp_path, hub="org/name", subsets=subsets) is None


def test_files_packages_generators_and_published_rows(tmp_path: Path) -> None:
    assert _lacking(tmp_path, file="rows.jsonl") == "rows.jsonl, split 'test'"
    _touch(tmp_path / "rows.jsonl")
    assert _lacking(tmp_path, file="rows.jsonl") is None
    assert _lacking(tmp_path, package="evalharness", file="api.py") is None
    assert _lacking(tmp_path, package="evalharness", file="nowhere.jsonl") == "evalharness:nowhere.jsonl, split 'test'"
    assert _lacking(tmp_path, generator="coin_flip") is None
    assert _lacking(tmp_path, published=FILE) == "extra/prompts/one.txt"
    _touch(tmp_path / "extra/prompts/one.txt.gz")
    assert _lacking(tmp_path, published=FILE) is None


def test_files_beside_the_rows_are_looked_for_too(tmp_path: Path) -> None:
    _touch(tmp_path / "rows.jsonl")
    table = {"path": "apis.jsonl", "url": "https://example.org/apis.jsonl", "columns": ["name"]}
    assert _lacking(tmp_path, file="rows.jsonl", texts={"prompt": FILE}) == "extra/prompts/one.txt"
    assert _lacking(tmp_path, file="rows.jsonl", tables={"apis": table}) == "extra/apis.jsonl"


def test_what_was_fetched_once_is_at_hand(tmp_path: Path) -> None:
    file = parse_options(PublishedOptions, FILE, "file")
    assert lacking_file(file, SourceSettings()) == "extra/prompts/one.txt"
    _touch(tmp_path / "cache/evalharness/prompts" / sha256_text(FILE["url"]))
    assert lacking_file(file, SourceSettings()) is None
    pytest.importorskip("datasets")
    _touch(tmp_path / "datasets/org___name/main/file.arrow")
    assert _lacking(tmp_path, hub="org/name") is None
