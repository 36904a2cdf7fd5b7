"""Reads a journal into columns: in one pass, on from where it stopped, while a run may still be writing it."""

from __future__ import annotations

import os
import threading
from array import array
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from evalharness.errors import EvalHarnessError
from evalharness.viewer.index import Index, opened
from evalharness.viewer.line_facts import Facts, Tails, facts_of

MOST_LABELS = 63
"""Different labels of verdicts that are told apart."""
OTHERS = "others"
"""Those beyond."""


class Journal:
    """A journal that is looked at again and again, by several threads, while it may grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._reader = Reader(path)
        self._index: Index | None = None
        self._began = False

    def index(self) -> Index:
        """Everything that is in the journal by now.

        Raises:
            DataError, DiskError: there is no journal, or it cannot be read.
        """
        with self._lock:
            if self._reader.catch_up() or self._index is None:
                self._index = self._reader.index()
            return self._index

    def at_once(self, lines: int) -> Index:
        """The same where it is known already; else the first lines, while a thread reads on."""
        if self._index is not None:
            return self.index()
        beginning = Reader(self.path)
        beginning.catch_up(most=lines)
        if not self._began:
            self._began = True
            threading.Thread(target=self._read_on, daemon=True).start()
        return beginning.index()

    def _read_on(self) -> None:
        with suppress(EvalHarnessError):  # whoever asks next is told
            self.index()


class Reader:
    """Reads a journal from where it stopped, into columns that grow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._identity = (0, 0)
        self._state = (-1, -1)
        self._end = 0
        self._last_line = b""
        self._lines = 0
        self._torn = self._stopped = False
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._replaced: list[int] = []
        self._damaged: list[int] = []
        self._starts, self._lengths = array("q"), array("q")
        self._flags, self._subsets = array("B"), array("i")
        self._subset_names: dict[str, int] = {}
        self._labels: dict[int, tuple[int, int]] = {}
        self._label_names: dict[str, int] = {}
        self._scores: dict[str, array[float]] = {}
        self._scored: dict[str, array[int]] = {}
        self._tails: Tails = {}

    def catch_up(self, most: int | None = None) -> bool:
        """Read what is new, at most so many lines; whether anything was."""
        with opened(self._path) as file:
            status = os.fstat(file.fileno())
            state = (status.st_size, status.st_mtime_ns)
            if state == self._state and self._identity == (status.st_dev, status.st_ino):
                return False
            if not self._continues(file, status):
                self._forget()
                self._identity = (status.st_dev, status.st_ino)
            self._state = state
            self._torn = False
            file.seek(self._end)
            self._read(file, most)
        return True

    def _continues(self, file: BinaryIO, status: os.stat_result) -> bool:
        """Whether the file still begins with what was read: a journal only grows, unless somebody mends it."""
        if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._end:
            return False
        file.seek(self._end - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _read(self, file: BinaryIO, most: int | None) -> None:
        raw = self._last_line
        for number, line in enumerate(file):
            if number == most:
                self._stopped = True
                break
            if not line.endswith(b"\n"):
                self._torn = True
                break
            raw = line
            self._lines += 1
            found = facts_of(line, self._tails)
            if found is None:
                self._damaged.append(self._lines)
            else:
                self._append(found, len(line))
            self._end += len(line)
        self._last_line = raw

    def _append(self, found: Facts, length: int) -> None:
        row = len(self._ids)
        before = self._rows.get(found.id)
        if before is not None:
            self._replaced.append(before)
        self._rows[found.id] = row
        self._ids.append(found.id)
        self._starts.append(self._end)
        self._lengths.append(length)
        self._flags.append(found.flags)
        names = self._subset_names
        self._subsets.append(-1 if found.subset is None else names.setdefault(found.subset, len(names)))
        if found.labels:
            codes = [_code(label, self._label_names) for label in found.labels]
            self._labels[row] = (sum({1 << code for code in codes}), codes[0])
        for name, value in found.scores.items():
            if name not in self._scores:
                self._scores[name] = array("d", [float("nan")]) * row
                self._scored[name] = array("B", bytes(row))
            self._scores[name].append(value)
            self._scored[name].append(1)
        if len(found.scores) < len(self._scores):
            for name in self._scores.keys() - found.scores.keys():
                self._scores[name].append(float("nan"))
                self._scored[name].append(0)

    def index(self) -> Index:
        """What was read so far; later readings do not change it."""
        import numpy as np

        counts = np.ones(len(self._ids), bool)
        counts[self._replaced] = False
        labels, outcomes = np.zeros(len(self._ids), np.uint64), np.full(len(self._ids), -1, np.int32)
        for row, (mask, first) in self._labels.items():
            labels[row], outcomes[row] = mask, first
        # Copied, because an array whose memory is lent out cannot grow.
        return Index(
            path=self._path,
            ids=[self._ids[row] for row in np.flatnonzero(counts)] if self._replaced else list(self._ids),
            starts=np.array(self._starts, np.int64)[counts],
            lengths=np.array(self._lengths, np.int64)[counts],
            flags=np.array(self._flags, np.uint8)[counts],
            subsets=np.array(self._subsets, np.int32)[counts],
            subset_names=list(self._subset_names),
            labels=labels[counts],
            outcomes=outcomes[counts],
            label_names=list(self._label_names),
            scores={name: np.array(values, np.float64)[counts] for name, values in self._scores.items()},
            scored={name: np.array(values, bool)[counts] for name, values in self._scored.items()},
            damaged=list(self._damaged),
            replaced=len(self._replaced),
            torn=self._torn,
            complete=not self._stopped,
        )


def _code(label: str, names: dict[str, int]) -> int:
    """A judge knows a handful of labels; the last ones of a journal that has very many are one."""
    if label not in names and len(names) >= MOST_LABELS:
        label = OTHERS
    return names.setdefault(label, len(names))
