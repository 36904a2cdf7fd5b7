"""The journal of a run, ``samples.jsonl``: append-only, a line a finished sample, readable after any crash.

A sample has more than one line where it failed and was asked again by a resumed run; its last line counts.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from evalharness.errors import DataError, DiskError, UsageError
from evalharness.records.strict_json import one_line, parse

Line = TypeVar("Line")


class Journal:
    """A journal that is written. A torn last line, which a killed run may leave, is cut off at opening.

    Raises:
        UsageError: another process is writing it.
        DataError: a line before the last one is damaged.
        DiskError: the file cannot be opened or mended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, bool] = {}
        """Every sample in the journal when it was opened, and whether it failed."""
        self.torn = False
        """Whether a torn line was cut off."""
        try:
            # Unbuffered: a line is in the kernel's hands when `append` returns, and survives our death.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise DiskError(f"{path}: the journal cannot be opened ({_reason(error)}).") from error
        try:
            self._lock()
            self._mend()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Held until the file is closed, also by death: two processes never write one journal."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.path}: another process is writing this run; wait for it, or start one of its own with "
                "--no-resume or another --output."
            ) from None
        except OSError:
            return  # a file system without locks

    def _mend(self) -> None:
        self._end = 0
        for end, line in _lines(self.path):
            self.done[_id(line, self.path)] = bool(line.get("error"))
            self._end = end
        if self._file.tell() > self._end:
            self.torn = True
            try:
                self._file.truncate(self._end)
            except OSError as error:
                raise DiskError(f"{self.path}: its torn last line cannot be cut off ({_reason(error)}).") from error

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line.

        Raises:
            DiskError: the disk refused. The journal ends with the line before.
        """
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise DiskError(
                f"{self.path}: the file was removed during the run, so nothing more can be kept; run again."
            )
        rest = memoryview(one_line(line))
        size = len(rest)
        try:
            while rest:
                # A disk that fills up takes a part of the line, then refuses the rest.
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._withdraw()
            raise DiskError(
                f"{self.path}: the journal cannot be written ({_reason(error)}); make room on that disk and run "
                "again: what is done is kept."
            ) from error
        self._end += size

    def _withdraw(self) -> None:
        try:
            self._file.truncate(self._end)
        except OSError:
            return  # a torn last line, which the next opening cuts off

    def close(self) -> None:
        """Close the file once its lines are on the disk.

        Raises:
            DiskError: the disk refused them.
        """
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DiskError(f"{self.path}: the journal cannot be written ({_reason(error)}).") from error
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every line of a journal in the order of writing, a torn last one left out.

    Raises:
        DataError: there is no journal, or a line before the last one is damaged.
        DiskError: it cannot be read.
    """
    for _, line in _lines(path):
        yield line


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """The last line of each sample, in the order of writing. Reads twice and keeps only ids in memory.

    Raises:
        DataError, DiskError: as `read_lines`.
    """
    last = {_id(line, path): number for number, line in enumerate(read_lines(path))}
    for number, line in enumerate(read_lines(path)):
        # A line that was written between the two readings belongs to the next caller.
        if last.get(_id(line, path)) == number:
            yield line


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The good lines of a journal, each with the offset of its end."""
    return whole_lines(path, parse)


def whole_lines(path: Path, read: Callable[[bytes], Line | None]) -> Iterator[tuple[int, Line]]:
    """What `read` makes of every line, with the offset of the line's end; a torn last one is left out.

    Args:
        read: gives None where a line is damaged.

    Raises:
        DataError: there is no journal, or a line before the last one is damaged.
        DiskError: it cannot be read.
    """
    end = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = read(raw) if raw.endswith(b"\n") else None
                if line is None:
                    if file.read(1):
                        raise DataError(
                            f"{path}: line {number} is damaged, and it is not the last one; "
                            "mend or delete that line to go on."
                        )
                    return
                end += len(raw)
                yield end, line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; a run's folder keeps its samples there.") from None
    except OSError as error:
        raise DiskError(f"{path}: the journal cannot be read ({_reason(error)}).") from error


def _id(line: Mapping[str, Any], path: Path) -> str:
    try:
        return str(line["id"])
    except KeyError:
        raise DataError(f"{path}: a line has no key 'id'; every sample of a journal has one.") from None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
