"""No test reads this machine's mirror or the network unless it says so."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

REAL_MIRROR = os.environ.get("EVALHARNESS_DATA")


@pytest.fixture(autouse=True)
def _no_mirror_and_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)
    for name in ("HF_ENDPOINT", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def real_mirror() -> Path:
    """The folder that EVALHARNESS_DATA names."""
    if not REAL_MIRROR:
        pytest.skip("needs EVALHARNESS_DATA: a mirror of the real benchmarks")
    return Path(REAL_MIRROR)


class MirrorWriter:
    """Writes a mirror as docs/data.md describes it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def split(
        self,
        place: str,
        rows: Iterable[Mapping[str, Any]],
        indices: Mapping[str, Any] | None = None,
    ) -> Path:
        """``place`` is ``org/name/config/split``; returns the file of the rows."""
        path = self.root / f"{place}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        if indices is not None:
            (self.root / f"{place}.indices.json").write_text(json.dumps(indices))
        return path

    def aliases(self, **content: Mapping[str, str]) -> None:
        (self.root / "ALIASES.json").write_text(json.dumps(content))


@pytest.fixture
def mirror(tmp_path: Path) -> MirrorWriter:
    root = tmp_path / "mirror"
    root.mkdir()
    return MirrorWriter(root)
