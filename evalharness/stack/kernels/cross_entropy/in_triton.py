"""A program a row forward, which reads it once; a program for a block of a row backward: no fp32 copy of the logits.

With ``s = logsumexp(l)``: ``by_l = g (softmax(l) (1 + 2 z s) - onehot(y))``. The sum of exponentials is kept beside the
largest number so far (Milakov and Gimelshein 2018, arXiv:1805.02867).
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.launching import on_device_of, row_block, rows_of

BLOCK = 4096
WARPS = 8


@triton.jit
def _forward(logits, targets, losses, norms, vocabulary, stride, z_loss, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    most = -float("inf")
    total = 0.0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        numbers = tl.load(logits + row * stride + column, column < vocabulary, -float("inf")).to(tl.float32)
        larger = tl.maximum(most, tl.max(numbers, 0))
        # Where all so far is -inf, its sum is 0 and must not become exp(-inf + inf).
        base = tl.where(larger == -float("inf"), 0.0, larger)
        total = total * tl.exp(most - base) + tl.sum(tl.exp(numbers - base), 0)
        most = larger
    norm = most + tl.log(total)
    target = tl.load(targets + row)
    counts = target >= 0
    own = tl.load(logits + row * stride + target, counts, 0.0).to(tl.float32)
    tl.store(losses + row, tl.where(counts, norm - own + z_loss * norm * norm, 0.0))
    tl.store(norms + row, norm)


@triton.jit
def _backward(by_losses, logits, targets, norms, by_logits, vocabulary, stride, z_loss, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < vocabulary
    target = tl.load(targets + row)
    gradient = tl.where(target >= 0, tl.load(by_losses + row), 0.0)
    norm = tl.load(norms + row)
    numbers = tl.load(logits + row * stride + column, inside, -float("inf")).to(tl.float32)
    found = tl.exp(numbers - norm) * (1 + 2 * z_loss * norm) - tl.where(column == target, 1.0, 0.0)
    tl.store(by_logits + row * vocabulary + column, gradient * found, inside)


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, z_loss: float = 0.0) -> Tensor:
    losses_N: Tensor = _CrossEntropy.apply(logits_NV, targets_N, z_loss)
    return losses_N


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor, z_loss: float) -> Tensor:
        logits_NV, targets_N = rows_of(logits_NV), targets_N.contiguous()
        rows, vocabulary = logits_NV.shape
        losses_N, norms_N = (logits_NV.new_empty(rows, dtype=torch.float32) for _ in range(2))
        if rows:
            with on_device_of(logits_NV):
                _forward[(rows,)](
                    logits_NV, targets_N, losses_N, norms_N, vocabulary, logits_NV.stride(0), z_loss,
                    BLOCK=min(BLOCK, row_block(vocabulary)), num_warps=WARPS,
                )  # fmt: skip
        ctx.save_for_backward(logits_NV, targets_N, norms_N)
        ctx.z_loss = z_loss
        return losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_losses_N: Tensor) -> tuple[Tensor, None, None]:
        logits_NV, targets_N, norms_N = ctx.saved_tensors
        rows, vocabulary = logits_NV.shape
        by_logits_NV = logits_NV.new_empty((rows, vocabulary))
        block = min(BLOCK, row_block(vocabulary))
        if rows:
            with on_device_of(logits_NV):
                _backward[(rows, triton.cdiv(vocabulary, block))](
                    by_losses_N.contiguous(), logits_NV, targets_N, norms_N, by_logits_NV, vocabulary,
                    logits_NV.stride(0), ctx.z_loss, BLOCK=block, num_warps=WARPS,
                )  # fmt: skip
        return by_logits_NV, None, None
