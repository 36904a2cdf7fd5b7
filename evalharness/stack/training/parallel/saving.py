"""Checkpoints of which every process of a training writes a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from torch import distributed

from evalharness.stack.durable import PARTIAL, refusal, sync
from evalharness.stack.errors import CheckpointError, DiskRefusedError, StackError
from evalharness.stack.tokenization.text import write_json
from evalharness.stack.training.checkpoints import FACTS, CheckpointStore, Writing, record_of, tensors_of
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.saving import Saver, WriteModel

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
PATIENCE = timedelta(minutes=30)
"""How long a process waits until the others have written their parts."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """What went wrong in a process, as others hear of it."""

    sentence: str
    refused: bool
    """Whether a disk did not take it."""


class SharedSaver(Saver):
    """As `Saver`, for several processes: all call each method at once, and all hear if one cannot write its part.

    The first writes the model and makes the checkpoint whole, once every other has said that its tensors are on the
    disk. They talk by a group of their own, so that a training may go on meanwhile.
    """

    def __init__(self, store: CheckpointStore, processes: Processes, *, beside: bool = True) -> None:
        super().__init__(store, beside=beside)
        self._processes = processes
        self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)

    def save(
        self,
        step: int,
        write_model: WriteModel,
        weights: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        """Write what is given, which is on the CPU and must not change any more; beside the training, by a thread.

        Args:
            weights, facts: all of them, in the first process; in the others they are not looked at.
            tensors: those that this process writes.

        Raises:
            CheckpointError: a process cannot write its part, or does not answer; or, beside the training, that was so
                with the checkpoint before.
        """
        with self._blocked():
            self._finish()
            self._start(lambda: self._write(step, write_model, weights, tensors, facts))

    def _write(
        self,
        step: int,
        write_model: WriteModel,
        weights: Mapping[str, Tensor],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> None:
        from safetensors.torch import save_file

        folder = self.store.folder / f"step-{step:08d}{PARTIAL}"
        name = tensors_of(self._processes.rank, self._processes.count)

        opened: list[Writing] = []

        def begin() -> None:
            if self._processes.first:
                opened.append(stack.enter_context(self.store.writing(step)))
                (folder / FACTS).parent.mkdir()

        def write_part() -> tuple[str, Mapping[str, Any]]:
            save_file(dict(tensors), folder / name)
            sync(folder / name)
            if self._processes.first:
                write_json(folder / FACTS, facts)
                write_model(folder, weights)
            return name, record_of(folder / name)

        # Where one fails, the first is still within `writing`, which then leaves nothing behind.
        with ExitStack() as stack:
            self._agree(step, begin)
            parts = self._agree(step, write_part)
            for writing in opened:
                writing.records.update(parts)
            self._agree(step, stack.close)

    def _agree(self, step: int, act: Callable[[], Value]) -> list[Value]:
        """What an act gives in each process; all act at once, and where it fails in one it does in all.

        Raises:
            CheckpointError: it failed in one, or one does not answer.
        """
        own: Value | _Failed
        cause: BaseException | None = None
        try:
            own = act()
        except Exception as error:
            cause, own = error, self._failed(step, error)
        everyone: list[Any] = [None] * self._processes.count
        try:
            distributed.all_gather_object(everyone, own, group=self._group)
        except RuntimeError as error:
            waited = f"{PATIENCE.total_seconds() / 60:g} minutes"
            raise CheckpointError(
                f"{self.store.folder}: the checkpoint of step {step} is not whole, since another process has died or "
                f"has not written its part within {waited}; start the same command again, and it goes on from the "
                "checkpoint before it."
            ) from error
        failed = next((each for each in everyone if isinstance(each, _Failed)), None)
        if failed is not None:
            raise (DiskRefusedError if failed.refused else CheckpointError)(failed.sentence) from cause
        return everyone

    def _failed(self, step: int, error: Exception) -> _Failed:
        if isinstance(error, StackError):
            return _Failed(str(error), isinstance(error, DiskRefusedError))
        if refused := refusal(error):
            return _Failed(self.store.not_written(step, *refused), refused=True)
        return _Failed(f"{self.store.folder}: the checkpoint of step {step} cannot be written: {error}", refused=False)
