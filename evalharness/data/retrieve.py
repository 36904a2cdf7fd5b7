"""Passages beside each question: what a corpus has for it, as a column of the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evalharness.data.corpus import Corpus, load_corpus
from evalharness.data.options import RetrieveOptions
from evalharness.data.passages import value_at
from evalharness.data.settings import MissingDataError, SourceSettings
from evalharness.data.split import CorpusSource, Row, Split
from evalharness.errors import DataError


def with_retrieved(split: Split, options: RetrieveOptions | None, settings: SourceSettings, base_dir: Path) -> Split:
    """`split` with a column of the passages that the corpus has for each row, the best first.

    Raises:
        MissingDataError: a part of the corpus is nowhere.
        DataError: a row has no text to look for, or has a column of that name; or the corpus is malformed.
        ServiceError: the package bm25s is not installed.
    """
    if options is None:
        return split
    if options.into in split.rows[0]:
        raise DataError(
            f"{split.source.location}: there is a column '{options.into}' already; name data.retrieve.into another way."
        )
    try:
        corpus = load_corpus(options.corpus, settings, base_dir)
    except MissingDataError as error:
        raise MissingDataError(f"the corpus of data.retrieve is not complete: {error}") from None
    rows = [{**row, options.into: _found(row, options, corpus, split)} for row in split.rows]
    used = CorpusSource(fingerprint=corpus.fingerprint, passages=len(corpus), sources=corpus.sources)
    return replace(split, rows=rows, source=replace(split.source, corpus=used))


def _found(row: Row, options: RetrieveOptions, corpus: Corpus, split: Split) -> list[dict[str, str]]:
    query = value_at(row, options.query, f"{split.source.location}: a row of split '{split.source.split}'")
    if not isinstance(query, str):
        raise DataError(
            f"{split.source.location}: column '{options.query}' holds {query!r:.60}, but data.retrieve.query is the "
            "column of a text."
        )
    # Without the scores: their last digits may differ from library to library, and content hashes cover what is here.
    return [{"id": hit.id, "title": hit.title, "text": hit.text} for hit in corpus.search(query, options.k)]
