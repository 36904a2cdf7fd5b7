"""What is done to the logits of a chunk by one kernel, a program a row, which reads the row twice and writes it once.

The products around it are torch's. Nothing is added by several programs: equal inputs give equal bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.launching import on_device_of, row_block
from evalharness.stack.kernels.linear_cross_entropy.chunks import in_chunks

BLOCK = 4096
WARPS = 8


@triton.jit
def _on_logits(logits, targets, weights, losses, norms, by_logits, vocabulary, z_loss, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    most = -float("inf")
    total = 0.0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        numbers = tl.load(logits + row * vocabulary + column, column < vocabulary, -float("inf"))
        larger = tl.maximum(most, tl.max(numbers, 0))
        # Where all so far is -inf, its sum is 0 and must not become exp(-inf + inf).
        base = tl.where(larger == -float("inf"), 0.0, larger)
        total = total * tl.exp(most - base) + tl.sum(tl.exp(numbers - base), 0)
        most = larger
    norm = most + tl.log(total)
    target = tl.load(targets + row)
    weight = tl.load(weights + row)
    tl.store(losses + row, norm - tl.load(logits + row * vocabulary + target))
    tl.store(norms + row, norm)
    # The gradient may lie where the logits do: all threads have read the target's before one writes.
    tl.debug_barrier()
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        inside = column < vocabulary
        numbers = tl.load(logits + row * vocabulary + column, inside, -float("inf"))
        found = tl.exp(numbers - norm) * (1 + 2 * z_loss * norm) - tl.where(column == target, 1.0, 0.0)
        tl.store(by_logits + row * vocabulary + column, weight * found, inside)


def linear_cross_entropy(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float = 0.0,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    return in_chunks(hidden_NW, weight_VW, targets_N, weights_N, z_loss, chunk, _on_chunk)


def _on_chunk(
    logits_CV: Tensor, targets_C: Tensor, weights_C: Tensor, z_loss: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    rows, vocabulary = logits_CV.shape
    logits_CV = logits_CV.to(weights_C.dtype).contiguous()
    losses_C, norms_C = torch.empty_like(weights_C), torch.empty_like(weights_C)
    by_logits_CV = logits_CV if dtype == logits_CV.dtype else torch.empty_like(logits_CV, dtype=dtype)
    with on_device_of(logits_CV):
        _on_logits[(rows,)](
            logits_CV, targets_C, weights_C, losses_C, norms_C, by_logits_CV, vocabulary, z_loss,
            BLOCK=min(BLOCK, row_block(vocabulary)), num_warps=WARPS,
        )  # fmt: skip
    return losses_C, norms_C, by_logits_CV
