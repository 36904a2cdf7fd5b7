"""The corpus that a task's tools search."""

from __future__ import annotations

from dataclasses import replace

from evalharness.data.corpus import Corpus, load_corpus
from evalharness.data.settings import MissingDataError, SourceSettings
from evalharness.data.split import CorpusSource, Source
from evalharness.tasks.task import Task


def load_searched(task: Task, settings: SourceSettings) -> Corpus | None:
    """The corpus, indexed; None where no tool searches.

    Raises:
        MissingDataError: a part of it is nowhere.
        DataError: a part of it is malformed.
        ServiceError: the package bm25s is not installed.
    """
    if task.corpus is None:
        return None
    try:
        return load_corpus(task.corpus, settings, task.path.parent)
    except MissingDataError as error:
        raise MissingDataError(f"{task.name}: the corpus of elicitation.tools is not complete: {error}") from None


def with_searched(source: Source, corpus: Corpus | None) -> Source:
    """The source of a task's rows, which names the corpus too."""
    if corpus is None:
        return source
    used = CorpusSource(fingerprint=corpus.fingerprint, passages=len(corpus), sources=corpus.sources)
    return replace(source, corpus=used)
