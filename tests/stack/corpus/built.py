"""What a built corpus holds, as tests look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evalharness.stack.corpus.reading import Corpus

Make = Callable[..., Corpus]
"""The fixture `make`."""


def outcomes(corpus: Corpus, source: str = "texts") -> list[dict[str, Any]]:
    """What became of every document, in order."""
    return [
        json.loads(line)
        for path in sorted((corpus.folder / source).glob("*.documents.jsonl"))
        for line in path.read_text().splitlines()
    ]


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file of a corpus by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
