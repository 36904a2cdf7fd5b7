"""A training's log: JSON lines, cut back to where a checkpoint was when the training goes on from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.stack.errors import TrainingError

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
        TrainingError: the disk refuses.
        """
        line = json.dumps(values, allow_nan=True) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise TrainingError(
                f"{self.path}: {error.strerror}; the checkpoints are whole: make room and start the same command again."
            ) from error

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


class TensorBoard:
    """The same numbers as TensorBoard reads them.

    Raises:
        ModuleNotFoundError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Steps that are computed again after a kill replace those of before.
        self._writer = SummaryWriter(str(folder), purge_step=first_step)  # type: ignore[no-untyped-call]

    def write(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(name, value, values["step"])  # type: ignore[no-untyped-call]
        self._writer.flush()  # type: ignore[no-untyped-call]
