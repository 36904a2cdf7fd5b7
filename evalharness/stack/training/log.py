"""A training's log: JSON lines, cut back to where a checkpoint was when the training goes on from it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evalharness.stack.durable import sync, write_whole
from evalharness.stack.errors import DiskRefusedError

LOG, EVALUATIONS = "log.jsonl", "evaluations.jsonl"


class Lines:
    """A file of JSON lines that is appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, values: Mapping[str, Any]) -> None:
        """Raises:
        DiskRefusedError: no line was written.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                self._write(file.fileno(), _line(values))
        except OSError as error:
            raise DiskRefusedError(
                f"{self.path}: {error.strerror}; the checkpoints are whole: make room and start the same command again."
            ) from error

    def _write(self, file: int, line: bytes) -> None:
        size = os.fstat(file).st_size
        try:
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(file, size)
            raise

    def sync(self) -> None:
        """Wait until the lines are on the disk: a checkpoint counts on those before it."""
        if self.path.exists():
            sync(self.path)

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Forget the other lines, all at once."""
        rows = self.read()
        kept = [row for row in rows if wanted(row)]
        if len(kept) < len(rows):
            write_whole(self.path, b"".join(map(_line, kept)))

    def cut(self, size: int) -> None:
        """Forget what was written beyond so many bytes."""
        if self.size > size:
            os.truncate(self.path, size)

    def read(self) -> list[dict[str, Any]]:
        """Every whole line; a last one that was cut off by a kill is dropped, from the file too."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        self.cut(whole)
        return [json.loads(line) for line in data[:whole].splitlines()]


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


class TensorBoard:
    """The same numbers as TensorBoard reads them, from the end of a step on: what it was told of later steps before, by
    a training that was killed or went back, is forgotten.

    Raises:
        ModuleNotFoundError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(name, value, values["step"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
