"""Checkpoints written while the training goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.stack.training.checkpoints import CheckpointStore

if TYPE_CHECKING:
    from torch import Tensor

WriteModel = Callable[[Path, Mapping[str, "Tensor"]], None]
"""Writes a model with these weights, which are on the CPU, into a folder that is there and empty."""


class Saver:
    """Writes the checkpoints of one training, one at a time.

    Beside the training: `save` copies what is to be kept, which takes as much memory again, and a thread writes the
    copy. Else `save` itself writes, and copies only what is not on the CPU.
    """

    def __init__(self, store: CheckpointStore, *, beside: bool = True) -> None:
        self.store = store
        self.seconds = 0.0
        """How long the training has waited for its checkpoints."""
        self._beside = beside
        self._writing: Future[object] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")

    def save(
        self,
        step: int,
        write_model: WriteModel,
        weights: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        """Keep the training as it is now. Beside it, what is given may change as soon as this returns.

        Raises:
            CheckpointError: this checkpoint or, beside the training, the one before cannot be written.
            Exception: what `write_model` raised then.
        """
        with self._blocked():
            self._finish()
            weights, tensors, facts = self._on_cpu(weights), self._on_cpu(tensors), deepcopy(facts)

            self._start(lambda: self.store.save(step, lambda folder: write_model(folder, weights), tensors, facts))

    def wait(self) -> None:
        """Return when the last checkpoint is on the disk.

        Raises:
            CheckpointError, Exception: as `save`.
        """
        with self._blocked():
            self._finish()

    def close(self) -> None:
        """Return when nothing is written any more, whatever became of it; `save` may not be called again."""
        self._thread.shutdown()

    def _start(self, write: Callable[[], object]) -> None:
        """Write now, or beside the training."""
        if self._beside:
            self._writing = self._thread.submit(write)
        else:
            write()

    def _finish(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _on_cpu(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.detach().to("cpu", copy=self._beside).contiguous() for name, tensor in tensors.items()}

    @contextmanager
    def _blocked(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
