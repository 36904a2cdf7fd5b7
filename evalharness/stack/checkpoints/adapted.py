"""A checkpoint with an adapter merged into its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.checkpoints.adapters import AdapterFolder, require_shape
from evalharness.stack.checkpoints.load import Checkpoint, Rows, in_blocks, open_checkpoint
from evalharness.stack.config import AnyConfig
from evalharness.stack.durable import sha256_of
from evalharness.stack.errors import CheckpointError
from evalharness.stack.tokenization.text import TextTokenizer

if TYPE_CHECKING:
    from torch import Tensor


def open_adapted(path: Path, adapter: Path | None) -> Checkpoint:
    """As `open_checkpoint`, with the adapter in a folder merged, where there is one.

    Raises:
        CheckpointError: as `open_checkpoint`, and for an adapter of a kind that is not covered.
    """
    checkpoint = open_checkpoint(path)
    return checkpoint if adapter is None else AdaptedCheckpoint(checkpoint, AdapterFolder(adapter))


class AdaptedCheckpoint:
    """A `Checkpoint` whose weights are those of another one and what an adapter adds to them, added in fp32."""

    def __init__(self, base: Checkpoint, adapter: AdapterFolder) -> None:
        self._base, self.adapter = base, adapter

    @property
    def path(self) -> Path:
        return self._base.path

    @property
    def config(self) -> AnyConfig:
        return self._base.config

    @property
    def name(self) -> str:
        return f"{self._base.name} + {self.adapter.name}"

    @property
    def quantisation(self) -> str:
        return self._base.quantisation

    @property
    def parameters(self) -> int:
        """Without the adapter's, which are no more once they are merged."""
        return self._base.parameters

    def tokenizer(self) -> TextTokenizer:
        return self._base.tokenizer()

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """As they are stored, but fp32 where something is added.

        Raises:
            CheckpointError: the adapter is of another model.
        """
        added = self.adapter.read(self.config)
        for name, tensor in self._base.tensors():
            layer, _, kind = name.rpartition(".")
            if kind != "weight" or layer not in added:
                yield name, tensor
                continue
            more = added.pop(layer)
            require_shape(more, tensor.shape, self.stored_name(name), self.adapter.path)
            yield name, tensor.float() + more.product().float()
        if added:
            raise CheckpointError(
                f"{self.adapter.path}: the adapter changes '{next(iter(added))}', which {self.path} does not have; it "
                "is another model's adapter."
            )

    def by_rows(self, numbers: int) -> Iterator[tuple[str, Rows]]:
        return in_blocks(self.tensors(), numbers)

    def stored_name(self, ours: str) -> str:
        return self._base.stored_name(ours)

    def fingerprint(self) -> str:
        """sha256 over the hashes of the model and of the adapter's files."""
        hashes = [self._base.fingerprint(), *map(sha256_of, self.adapter.files)]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
