"""The runs below a folder, each under the name that addresses give it: its path from that folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from evalharness.errors import DataError, UsageError
from evalharness.records.folder import Run
from evalharness.records.format import RUN
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord
from evalharness.records.scores import Scores, scores_of_run
from evalharness.viewer.reader import Journal

Value = TypeVar("Value")


@dataclass(frozen=True)
class Known:
    """A run with what its two small files say."""

    key: str
    run: Run
    record: RunRecord
    problem: str | None = None
    """Why its results cannot be read."""

    @cached_property
    def results(self) -> ResultsRecord | None:
        try:
            return self.run.results
        except DataError:
            return None

    @property
    def headline(self) -> tuple[str, ScoreRecord] | None:
        """The first metric, where the run was summarised."""
        return next(iter(self.results.scores.items()), None) if self.results else None

    def judges(self, metric: str) -> bool:
        """Whether right and wrong mean something: not of perplexities and the like."""
        score = self.results.scores.get(metric) if self.results else None
        return score is None or (score.higher_is_better and (score.value or 0) <= 1)


class Library:
    """Finds runs, and keeps what was costly to read of them. Used by several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {}
        self._scores: dict[str, tuple[object, Scores]] = {}

    @property
    def single(self) -> str | None:
        """The key of the one run, where the folder is a run's."""
        return "." if (self.root / RUN).is_file() else None

    def runs(self) -> tuple[list[Known], list[str]]:
        """Every run, the newest first, and a sentence for each that cannot be read."""
        found, problems = [], []
        for path in sorted(self.root.rglob(RUN)):
            key = path.parent.relative_to(self.root).as_posix()
            try:
                found.append(self.known(key))
            except DataError as error:
                problems.append(str(error))
        return sorted(found, key=lambda known: known.record.created, reverse=True), problems

    def known(self, key: str) -> Known:
        """The run of a key.

        Raises:
            UsageError: there is none in the folder.
            DataError: its run.json is damaged.
        """
        place = Path(key)
        # An address is no way out of the folder.
        if place.is_absolute() or ".." in place.parts or "\0" in key or not (self.root / place / RUN).is_file():
            raise UsageError(f"run={key}: {self.root} holds no such run.")
        run = Run(self.root / place)
        record = run.record
        try:
            _ = run.results
        except DataError as error:
            return Known(key, run, record, str(error))
        return Known(key, run, record)

    def journal(self, known: Known) -> Journal:
        """The journal of a run, the same object each time."""
        with self._lock:
            return self._journals.setdefault(known.key, Journal(known.run.journal))

    def scores(self, known: Known) -> Scores:
        """The scores of a run, read again only when one of its files has changed.

        Raises:
            DataError: a file is damaged, or the run was never summarised.
            DiskError: a file cannot be read.
        """
        files = [known.run.path / RUN, known.run.journal, known.run.path / "results.json"]
        state = [(path.stat().st_mtime_ns, path.stat().st_size) for path in files if path.is_file()]
        kept = self._scores.get(known.key)
        if kept is None or kept[0] != state:
            kept = self._scores[known.key] = (state, scores_of_run(known.run))
        return kept[1]


class Kept:
    """The latest few results of something slow, by what they were computed of."""

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: dict[object, object] = {}

    def get(self, key: object, compute: Callable[[], Value]) -> Value:
        with self._lock:
            if key in self._values:
                return self._values[key]  # type: ignore[return-value]
        value = compute()
        with self._lock:
            while len(self._values) >= self._most:
                self._values.pop(next(iter(self._values)))
            self._values[key] = value
        return value
