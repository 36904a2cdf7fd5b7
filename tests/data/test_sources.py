"""Sources are tried in order; when none has the rows, the sentence names each and what to type."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.errors import ServiceError

ROWS = [{"question": "What is 1 plus 1?", "answer": "2"}]


def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "site" / "another_package_with_rows"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "rows.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder.name


def test_a_mirror_goes_before_a_package(mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = DataOptions(hub="org/sums", package=_package(tmp_path, monkeypatch), file="rows.jsonl")
    settings = SourceSettings(data_dir=mirror.root)
    assert load_split(options, "test", settings=settings).source.kind == "package"
    mirror.split("org/sums/default/test", ROWS)
    assert load_split(options, "test", settings=settings).source.kind == "mirror"


def test_nothing_anywhere_names_every_place(mirror: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hub = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", hub)
        options = DataOptions(
            hub="org/sums", config="main", package="no_package_of_sums", file="rows.jsonl", demo="gsm8k_demo"
        )
        with pytest.raises(MissingDataError) as error:
            load_split(options, "test", settings=SourceSettings(data_dir=mirror.root))
    sentence = str(error.value)
    assert isinstance(error.value, ServiceError)
    assert sentence.startswith("no source has split 'test' of org/sums (main); tried: ")
    for place in (f"the mirror {mirror.root} (no folder org/sums/main)", "the package no_package_of_sums", hub):
        assert place in sentence
    for way in ("--data-dir DIR", "EVALHARNESS_DATA", "pip install 'evalharness[hub]'", "--allow-demo"):
        assert way in sentence
    assert "refused" in sentence
    assert "\n" not in sentence


def test_a_mirror_that_nobody_named_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        MissingDataError, match=r"neither --data-dir nor EVALHARNESS_DATA is set.*HF_HUB_OFFLINE is set"
    ):
        load_split(DataOptions(hub="org/sums"), "test")


def test_a_missing_split_names_its_data_set(mirror: Any) -> None:
    mirror.split("org/sums/default/test", ROWS)
    with pytest.raises(MissingDataError, match="org/sums/default has no split 'train'"):
        load_split(DataOptions(hub="org/sums"), "train", settings=SourceSettings(data_dir=mirror.root))


def test_without_datasets_the_hub_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDataError, match="the package datasets is not installed"):
        load_split(DataOptions(hub="org/sums"), "test")


DEMO = DataOptions(hub="org/sums", demo="gsm8k_demo")


def test_the_demo_is_used_only_on_request(mirror: Any) -> None:
    with pytest.raises(MissingDataError):
        load_split(DEMO, "test", settings=SourceSettings(data_dir=mirror.root))
    split = load_split(DEMO, "test", settings=SourceSettings(data_dir=mirror.root, allow_demo=True))
    assert (split.source.kind, split.source.location, split.source.n) == ("demo", "gsm8k_demo", 15)


def test_the_benchmark_goes_before_the_demo(mirror: Any) -> None:
    mirror.split("org/sums/default/test", ROWS)
    settings = SourceSettings(data_dir=mirror.root, allow_demo=True)
    assert load_split(DEMO, "test", settings=settings).source.kind == "mirror"


def test_demo_and_benchmark_never_mix(mirror: Any) -> None:
    settings = SourceSettings(data_dir=mirror.root, allow_demo=True)
    mirror.split("org/sums/default/train", ROWS)
    assert load_split(DEMO, "train", settings=settings).source.kind == "demo"
    mirror.split("org/sums/default/test", ROWS)
    assert load_split(DEMO, "train", settings=settings).source.kind == "mirror"
    (mirror.root / "org/sums/default/train.jsonl.gz").unlink()
    with pytest.raises(MissingDataError, match="has no split 'train'"):
        load_split(DEMO, "train", settings=settings)


def test_a_generator_is_found_by_its_name() -> None:
    split = load_split(DataOptions(generator="coin_flip"), "test")
    assert (split.source.kind, split.source.location, split.source.n) == ("generator", "coin_flip", 1000)
    assert len(str(split.source.sha256)) == 64
