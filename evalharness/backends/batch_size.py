"""How many rows a model reads at once, and what is done where memory runs out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

from evalharness.backends.huggingface_errors import first_line, is_out_of_memory
from evalharness.errors import ServiceError

LOGITS_BYTES = 512 << 20
"""Logits that are kept of one batch take at most this much, where more than one row is in it."""


class Row(Protocol):
    """One sequence of a batch, and whoever waits for it."""

    @property
    def tokens(self) -> int:
        """The longest that it may get."""
        ...

    @property
    def kept(self) -> int:
        """Positions whose logits are kept."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths now: rows of one shape need no padding."""
        ...

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        ...

    def begin(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


R = TypeVar("R", bound=Row)


class BatchSize:
    """Tokens that are computed together; becomes smaller where they turn out to be too many, and stays so.

    Without `padded` all rows of a batch have one shape.
    """

    def __init__(self, tokens: int, vocab_size: int, *, padded: bool) -> None:
        self.tokens = tokens
        self.padded = padded
        self._logits = max(1, LOGITS_BYTES // (4 * vocab_size))

    def serve(self, rows: list[R], compute: Callable[[list[R]], None]) -> None:
        """Compute all rows, the longest first: what does not fit is found out at once.

        A batch for which memory runs out is halved; a row that does not fit alone fails with a `ServiceError`.
        """
        rows.sort(key=lambda row: (row.tokens, row.shape))
        while rows:
            batch = [row for row in self._take(rows) if row.wanted]
            for row in batch:
                row.begin()
            told = _out_of_memory(compute, batch) if batch else None
            if told is None:
                continue
            left = [row for row in reversed(batch) if row.wanted]
            if len(batch) > 1:
                self.tokens = max(1, len(batch) * batch[0].tokens // 2)
                rows.extend(left)
                continue
            for row in left:
                row.fail(
                    ServiceError(
                        f"out of memory for one sequence of up to {row.tokens} tokens alone ({told}); lower "
                        "--max-length, or --set decode.max_tokens, or take a smaller --dtype."
                    )
                )

    def _take(self, rows: list[R]) -> list[R]:
        """The next batch, taken off the end."""
        batch = [rows.pop()]
        longest, kept = batch[0].tokens, batch[0].kept
        while rows:
            row, count = rows[-1], len(batch) + 1
            kept = max(kept, row.kept)
            if count * longest > self.tokens or count * kept > self._logits:
                break
            if not self.padded and row.shape != batch[0].shape:
                break
            batch.append(rows.pop())
        return batch


def _out_of_memory(compute: Callable[[list[R]], None], batch: list[R]) -> str | None:
    """Compute a batch; what was said where memory ran out, or None."""
    try:
        compute(batch)
        return None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        told = first_line(error)
    # Only now are the tensors of the batch free: the error held the frames that they belonged to.
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return told
