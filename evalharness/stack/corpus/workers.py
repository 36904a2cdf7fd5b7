"""Documents handed to processes in batches that do not depend on how many there are, taken back in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from evalharness.stack.corpus.documents import Document
from evalharness.stack.corpus.stages import Processed, Stages
from evalharness.stack.errors import CorpusError

BATCH_CHARACTERS, BATCH_DOCUMENTS = 1_000_000, 1_000
IN_FLIGHT = 3
"""Batches a worker, so that none waits while the results before are written; they are all that is in memory."""


class Workers:
    """One process that computes here, or several others."""

    def __init__(self, stages: Stages, count: int) -> None:
        self._stages = stages
        self._count = count
        self._pool = (
            ProcessPoolExecutor(
                count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(_parts(stages),)
            )
            if count > 1
            else None
        )

    def process(self, documents: Iterable[Document]) -> Iterator[Processed]:
        """What becomes of each document, in order.

        Raises:
            CorpusError: a worker died.
        """
        if self._pool is None:
            for batch in _batches(documents):
                yield from self._stages.process(batch)
            return
        pending: deque[Future[list[Processed]]] = deque()
        try:
            for batch in _batches(documents):
                pending.append(self._pool.submit(_work, batch))
                if len(pending) >= IN_FLIGHT * self._count:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool:
            raise CorpusError(
                "a worker died, most often for lack of memory; the shards that are whole are kept: lower workers, and "
                "run again."
            ) from None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = list[Document](), 0
    for document in documents:
        batch.append(document)
        characters += len(document.text or "")
        if characters >= BATCH_CHARACTERS or len(batch) >= BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


_here: list[Stages] = []
"""The stages of this worker, built when it begins."""


def _parts(stages: Stages) -> tuple[object, ...]:
    """What stages are built of: a tokenizer is read anew in each worker."""
    return stages.options, stages.base, stages.benchmarks


def _begin(parts: tuple[object, ...]) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair, which ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here.append(Stages(*parts))  # type: ignore[arg-type]


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _work(batch: list[Document]) -> list[Processed]:
    return _here[0].process(batch)
