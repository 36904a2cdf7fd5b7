"""The response cache: what a model answered once is not asked again (``--cache``).

An answer is found again only for the very same request of the very same model. The key is the sha256 of what was asked,
how it is drawn, with the request's own seed where it is drawn at random, and of everything that decides what a model
answers: its weights' fingerprint, numbers, quantisation, the backend with its version and arithmetic; of a server its
address, its model's name and what it reports of itself.

One sqlite file, written in WAL mode: several processes may use it at once.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalharness.backends.wrapping import PassedTicket, Wrapper
from evalharness.errors import DataError, DiskError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.functions import openai_tool
from evalharness.records.encode import completion_of, encode_completion
from evalharness.records.environment import installed_versions
from evalharness.types import (
    Backend,
    Completions,
    GenerateRequest,
    Likelihood,
    Prompt,
    Request,
    Result,
    Sampling,
    Ticket,
)

FILE = "responses.sqlite"
FORMAT = 1
"""Part of every key: raised when answers are kept otherwise, or keys made otherwise."""
BUSY_SECONDS = 60.0
"""How long one process waits for another one's write."""
DECISIVE_PACKAGES = {
    "stack": ("evalharness", "torch"),
    "transformers": ("torch", "transformers"),
    "vllm": ("torch", "vllm"),
}
"""By backend, the packages whose version decides what a model answers."""
NOT_DECISIVE = ("threads", "file", "concurrency")
"""Details of a model that do not decide what it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What a cache holds."""

    path: Path
    answers: int
    bytes: int
    """Of the file."""
    models: Mapping[str, int]
    """Answers by model."""
    oldest: float | None
    """When the answer that was used least lately was used, in seconds since 1970."""


class ResponseStore:
    """The file behind a cache.

    Raises:
        DiskError: the folder cannot be written.
        DataError: the file is no cache, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"{folder}: the cache cannot be made: {error.strerror}.") from None
        self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        with self._errors():
            # Waves are answered in a thread of their own, one at a time.
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answers"
                " (key BLOB PRIMARY KEY, model TEXT NOT NULL, answer BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID"
            )
            return connection

    def get(self, key: bytes) -> Result | None:
        with self._errors():
            row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            self._connection.execute("UPDATE answers SET used = ? WHERE key = ?", (time.time(), key))
        return _decoded(row[0])

    def put(self, key: bytes, model: str, answer: Result) -> None:
        """Keep an answer; one that another process has kept meanwhile stays."""
        with self._errors():
            self._connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", (key, model, _encoded(answer), time.time())
            )

    def stats(self) -> CacheStats:
        with self._errors():
            models = dict(
                self._connection.execute(
                    "SELECT model, COUNT(*) FROM answers GROUP BY model ORDER BY COUNT(*) DESC, model"
                )
            )
            (oldest,) = self._connection.execute("SELECT MIN(used) FROM answers").fetchone()
        return CacheStats(
            path=self.path,
            answers=sum(models.values()),
            bytes=self.path.stat().st_size,
            models=models,
            oldest=oldest,
        )

    def prune(self, *, unused_for: float | None = None, model: str | None = None) -> int:
        """Delete answers, and give their room back; how many there were.

        Args:
            unused_for: those that nobody asked for in so many seconds.
            model: those of this model. With neither, every answer goes; with both, what both say.
        """
        before = time.time() - unused_for if unused_for is not None else None
        with self._errors():
            count = self._connection.execute(
                "DELETE FROM answers WHERE (:before IS NULL OR used < :before) AND (:model IS NULL OR model = :model)",
                {"before": before, "model": model},
            ).rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DiskError(f"{self.path}: the cache cannot be used: {error}.") from None
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path}: no cache, or damaged ({error}); delete the file.") from None


class CachedBackend(Wrapper):
    """A backend that answers from the store what it knows, and keeps there what it learns."""

    def __init__(self, inner: Backend, store: ResponseStore) -> None:
        super().__init__(inner)
        self._store = store
        self._model = model_key(inner)
        self.hits = 0
        self.misses = 0

    def passed(self, ticket: Ticket) -> Ticket | None:
        key = request_key(self._model, ticket.request)
        known = self._store.get(key)
        if known is not None:
            self.hits += 1
            ticket.begin()
            ticket.resolve(known)
            return None
        self.misses += 1

        def kept(result: Result) -> Result:
            self._store.put(key, self.info.name, result)
            return result

        return PassedTicket(ticket, ticket.request, kept)

    def warm(self) -> None:
        """Nothing: a run that is answered from the cache needs no weights."""

    def spent(self) -> dict[str, float]:
        """What the inner backend spent since the last call, and how many requests the cache answered."""
        inner: Callable[[], dict[str, float]] | None = getattr(self.inner, "spent", None)
        told = {**(inner() if inner else {}), "cache_hits": float(self.hits), "cache_misses": float(self.misses)}
        self.hits = self.misses = 0
        return told

    def close(self) -> None:
        super().close()
        self._store.close()


def model_key(backend: Backend) -> str:
    """Everything that decides what a backend answers, as canonical JSON."""
    info, tokenizer, versions = backend.info, backend.tokenizer, installed_versions()
    return canonical_json(
        {
            "format": FORMAT,
            "kind": info.kind,
            "fingerprint": info.fingerprint,
            "numerics": info.numerics,
            "max_length": info.max_length,
            "tokenizer": tokenizer.fingerprint if tokenizer else None,
            "details": {key: value for key, value in info.details.items() if key not in NOT_DECISIVE},
            "versions": {name: versions.get(name) for name in DECISIVE_PACKAGES.get(info.kind, ())},
        }
    )


def request_key(model: str, request: Request) -> bytes:
    """The sha256 that a request's answer is kept under."""
    if isinstance(request, GenerateRequest):
        asked: dict[str, Any] = {"prompt": _prompt(request.prompt), "sampling": _drawn(request.sampling)}
        asked["n"] = request.n
    elif request.ids is not None:
        asked = {"ids": request.ids, "start": request.start}
    else:
        asked = {"context": _prompt(request.context), "continuation": request.continuation, "start": request.start}
    return bytes.fromhex(sha256_text(f"{model}\n{canonical_json(asked)}"))


def _prompt(prompt: Prompt) -> dict[str, Any]:
    if prompt.ids is not None:
        return {"ids": prompt.ids}
    said = {"text": prompt.text, "messages": [[message.role, message.content] for message in prompt.messages]}
    return {**said, "tools": [openai_tool(tool) for tool in prompt.tools]} if prompt.tools else said


def _drawn(sampling: Sampling) -> dict[str, Any]:
    """Greedy decoding draws nothing, so its seed decides nothing."""
    values = asdict(sampling)
    if sampling.temperature == 0:
        values.pop("seed")
    return values


# --------------------------------------------------------------------------- answers as bytes


def _encoded(result: Result) -> bytes:
    if isinstance(result, Likelihood):
        said: dict[str, Any] = {"log_likelihoods": result.log_likelihoods, "greedy": result.greedy}
    else:
        said = {"completions": [{**encode_completion(one), "ids": one.ids} for one in result.completions]}
    return zlib.compress(json.dumps(said).encode(), 1)


def _decoded(raw: bytes) -> Result:
    said = json.loads(zlib.decompress(raw))
    if "completions" in said:
        return Completions(tuple(completion_of(one) for one in said["completions"]))
    return Likelihood(tuple(said["log_likelihoods"]), tuple(said["greedy"]))
