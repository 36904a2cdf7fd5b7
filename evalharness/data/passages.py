"""From rows to passages of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from evalharness.data.options import CorpusOptions, PassagesOptions
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Row, Source, Split
from evalharness.errors import DataError, nearest
from evalharness.hashing import canonical_json, sha256_text
from evalharness.options import parse_options

FOLDER = Path(__file__).parent / "corpora"
"""Definitions of the corpora that come with evalharness, by name."""


@dataclass(frozen=True, slots=True, order=True)
class Passage:
    """A text that may hold an answer."""

    title: str
    """Empty where there is none."""
    text: str

    @property
    def id(self) -> str:
        """Hash of title and text, so that it stays the same in every corpus."""
        return sha256_text(canonical_json([self.title, self.text]))[:16]


def read_passages(
    options: CorpusOptions, settings: SourceSettings, base_dir: Path
) -> tuple[list[Passage], list[Source]]:
    """All passages of a corpus, and where each part of them was read.

    Raises:
        MissingDataError: a source is nowhere.
        DataError: a source is malformed or has no passages, or no corpus has the wanted name.
    """
    from evalharness.data.sources import load_split  # which itself looks passages up

    passages: list[Passage] = []
    sources: list[Source] = []
    for part in sources_of(options):
        for subset in part.data.subset_names or (None,):
            split = load_split(part.data, part.data.split, subset=subset, settings=settings, base_dir=base_dir)
            found = [passage for row in islice(split.rows, part.take) for passage in _passages(row, part, split)]
            if not found:
                raise DataError(
                    f"{split.source.location}: column '{part.text}' of split '{split.source.split}' holds no text for "
                    "a passage; name another one under text."
                )
            passages += found
            sources.append(split.source)
    return passages, sources


def sources_of(options: CorpusOptions) -> tuple[PassagesOptions, ...]:
    """Where the passages come from; of a corpus that comes with evalharness, as its file says.

    Raises:
        DataError: no such corpus comes with it.
    """
    if options.named is None:
        return options.sources
    path = FOLDER / f"{options.named}.yaml"
    if not path.is_file():
        known = [file.stem for file in FOLDER.glob("*.yaml")]
        raise DataError(f"no corpus '{options.named}' comes with evalharness; {nearest(options.named, known)}")
    import yaml

    return parse_options(CorpusOptions, yaml.safe_load(path.read_text(encoding="utf-8")), str(path)).sources


def value_at(row: Row, column: str, where: str) -> Any:
    """What stands in a column; a dot leads into an object, or into every object of a list.

    Raises:
        DataError: it leads nowhere; `where` begins the sentence.
    """
    value: Any = row
    for name in column.split("."):
        value = (
            [_inside(one, name, column, where) for one in value]
            if isinstance(value, list)
            else _inside(value, name, column, where)
        )
    return value


def _inside(value: Any, name: str, column: str, where: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        beside = f"; {nearest(name, value)}" if isinstance(value, Mapping) else "."
        raise DataError(f"{where}: no column '{column}'{beside}")
    return value[name]


def _passages(row: Row, part: PassagesOptions, split: Split) -> Iterator[Passage]:
    where = f"{split.source.location}: a row of split '{split.source.split}'"
    texts = _texts(value_at(row, part.text, where), part.text, where)
    titles = _texts(value_at(row, part.title, where), part.title, where) if part.title else [""]
    if len(titles) == 1:
        titles = titles * len(texts)
    if len(titles) != len(texts):
        raise DataError(
            f"{where}: {len(titles)} titles in column '{part.title}' for {len(texts)} texts in column '{part.text}'; "
            "there must be one title, or one for each text."
        )
    for title, text in zip(titles, texts, strict=True):
        words = text.split()
        size = part.words or len(words)
        for start in range(0, len(words), max(size, 1)):
            yield Passage(" ".join(title.split()), " ".join(words[start : start + size]))


def _texts(value: Any, column: str, where: str) -> list[str]:
    """A text, texts, or lists of sentences that are a text each."""
    texts = [" ".join(one) if _is_texts(one) else one for one in (value if isinstance(value, list) else [value])]
    if not _is_texts(texts):
        raise DataError(f"{where}: column '{column}' holds {value!r:.60}, but passages are made of texts.")
    return texts


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
