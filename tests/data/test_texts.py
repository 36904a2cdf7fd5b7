from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data.conftest import MirrorWriter

from evalharness.data.options import DataOptions
from evalharness.data.sources import MissingDataError, SourceSettings, load_split
from evalharness.errors import DataError


def options(name: str) -> DataOptions:
    text = {"path": "org/ask.txt", "url": "http://127.0.0.1:9/ask.txt"}
    return DataOptions.model_validate({"hub": "org/sums", "texts": {name: text}})


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MirrorWriter:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = MirrorWriter(tmp_path / "data/mirror")
    written.split("org/sums/default/test", [{"question": "1 + 1?"}, {"question": "2 + 2?"}])
    return written


def _rows(mirror: MirrorWriter, name: str = "ask") -> list[dict[str, Any]]:
    settings = SourceSettings(data_dir=mirror.root.parent)
    return list(load_split(options(name), "test", settings=settings).rows)


def test_every_row_holds_the_text_as_it_is(mirror: MirrorWriter) -> None:
    path = mirror.root.parent / "extra/org/ask.txt"
    path.parent.mkdir(parents=True)
    path.write_text(" Answer\nbriefly: ü\n", encoding="utf-8")
    assert [row["ask"] for row in _rows(mirror)] == [" Answer\nbriefly: ü\n"] * 2
    with pytest.raises(DataError, match=r"a column 'question' already; name data\.texts another way"):
        _rows(mirror, "question")


def test_a_text_that_is_nowhere_is_told(mirror: MirrorWriter) -> None:
    with pytest.raises(MissingDataError, match=r"org/ask\.txt"):
        _rows(mirror)
