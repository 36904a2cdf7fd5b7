"""Corpora of a few texts, built in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from stack.corpus.built import Make

from evalharness.stack.corpus.decontamination import BenchmarkItem
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.corpus.reading import Corpus, open_corpus


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Builds a corpus of texts, each a line of a JSON file, with options as the YAML has them."""

    count = 0

    def made(texts: Iterable[str], *, items: Iterable[BenchmarkItem] = (), **options: Any) -> Corpus:
        nonlocal count
        count += 1
        base = tmp_path / str(count)
        base.mkdir()
        lines = [json.dumps({"text": text}) for text in texts]
        (base / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        values: Mapping[str, Any] = {
            "output": "corpus",
            "sources": [{"name": "texts", "paths": ["texts.jsonl"]}],
            **options,
        }
        return open_corpus(build(PipelineOptions.model_validate(values), base, items).folder, check=True)

    return made
