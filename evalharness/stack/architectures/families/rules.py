"""Rules by which the tensors of a layout become ours, and ours its.

Letters in shapes: G key heads, H query heads, D size of a head, I numbers that go in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Change = Callable[[Sequence["Tensor"]], Sequence["Tensor"]]


def unchanged(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return tensors


@dataclass(frozen=True, slots=True)
class Rule:
    """Tensors of ours that lie together in one or more of a layout."""

    ours: tuple[str, ...]
    stored: tuple[str, ...]
    load: Change = unchanged
    """From the stored ones to ours, both in the order of their names."""
    save: Change = unchanged
    """Back."""
    transposed: bool = False
    """Whether stored matrices lie the other way round, [in, out]."""


def same(ours: str, stored: str) -> Rule:
    """The same numbers under another name."""
    return Rule((ours,), (stored,))


def part(ours: str, stored: str, *, bias: bool) -> Iterator[Rule]:
    """The weight of a layer or norm, and its bias if it has one."""
    for kind in ("weight", "bias") if bias else ("weight",):
        yield same(f"{ours}.{kind}", f"{stored}.{kind}")


def transposed(ours: str, stored: str) -> Rule:
    """A matrix that lies the other way round, [in, out]."""

    def turn(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return [tensors[0].T.contiguous()]

    return Rule((ours,), (stored,), turn, turn, transposed=True)


QKV = ("attention.qkv.query", "attention.qkv.key", "attention.qkv.value")


def fused_qkv(block: str, stored: str, kind: str, heads: int, kv_heads: int) -> Rule:
    """Queries, keys and values in one matrix or bias, group by group: [G, H/G + 2, D, ...], where the queries of a
    group come first, then its key and its value."""
    shared = heads // kv_heads

    def load(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        import torch

        groups = tensors[0].reshape(kv_heads, shared + 2, -1, *tensors[0].shape[1:])
        return [piece.flatten(0, 2) for piece in torch.split(groups, [shared, 1, 1], dim=1)]

    def save(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        import torch

        groups = [
            tensor.reshape(kv_heads, count, -1, *tensor.shape[1:])
            for tensor, count in zip(tensors, (shared, 1, 1), strict=True)
        ]
        return [torch.cat(groups, dim=1).flatten(0, 2)]

    return Rule(tuple(f"{block}.{each}.{kind}" for each in QKV), (f"{stored}.{kind}",), load, save)
