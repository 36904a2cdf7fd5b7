"""Tiles of a matrix product whose logits never leave the program: each leaves four numbers for each of its rows.

Of a tile's logits l these are the largest m, its token, ``sum exp(l - m)`` and ``sum (l - m) exp(l - m)``. What tiles
left, a hundredth of the logits, is put together by torch in a fixed order. Programs that share a tile of the weight
follow one another, so that it comes from the cache. Where a layer makes the logits, it does so chunk by chunk, and a
program a row reads them once. So it is in `exact` with any head: tiles follow the number of rows, and so do torch's
sums on a GPU, but not what a program does with one row.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, row_block, rows_of, target_of
from evalharness.stack.kernels.linear_scoring import GROUP, TILES, Scored, Tile
from evalharness.stack.kernels.linear_scoring.heads import Head, Layer, in_chunks
from evalharness.stack.layers.linear import ExactLinear

BLOCK = 4096
"""Logits of a row that are read at once."""
LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)
"""A GPU's instruction makes powers of two; `tl.exp` spends three more on numbers that add nothing to a sum."""


@triton.jit
def _tile(
    hidden, weight, targets, most, total, inner, likeliest, own, rows, vocabulary, width, count, hidden_stride,
    weight_stride, EVEN: tl.constexpr, ENTROPIES: tl.constexpr, UPCAST: tl.constexpr, GROUP: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """`EVEN` says that blocks of the width are full, so that nothing is masked on the way."""
    row_tiles, token_tiles = tl.cdiv(rows, BLOCK_R), tl.cdiv(vocabulary, BLOCK_V)
    group = tl.program_id(0) // (GROUP * token_tiles)
    in_group = tl.program_id(0) % (GROUP * token_tiles)
    members = tl.minimum(row_tiles - group * GROUP, GROUP)
    row_tile, token_tile = group * GROUP + in_group % members, in_group // members
    row = row_tile * BLOCK_R + tl.arange(0, BLOCK_R)
    first_token = token_tile * BLOCK_V
    place, token = tl.arange(0, BLOCK_W), tl.arange(0, BLOCK_V)
    logits = tl.zeros((BLOCK_R, BLOCK_V), tl.float32)
    # Rows and tokens behind the last are the last: what comes of them is not used.
    hidden_rows = hidden + tl.minimum(row, rows - 1)[:, None].to(tl.int64) * hidden_stride
    weight_rows = weight + tl.minimum(first_token + token, vocabulary - 1)[None, :].to(tl.int64) * weight_stride
    for begin in range(0, width, BLOCK_W):
        column = begin + place
        if EVEN:
            a = tl.load(hidden_rows + column[None, :])
            b = tl.load(weight_rows + column[:, None])
        else:
            a = tl.load(hidden_rows + column[None, :], column[None, :] < width, 0.0)
            b = tl.load(weight_rows + column[:, None], column[:, None] < width, 0.0)
        if UPCAST or a.dtype != b.dtype:
            a, b = a.to(tl.float32), b.to(tl.float32)
        logits = tl.dot(a, b, logits, input_precision="ieee")
    logits = tl.where(token[None, :] < vocabulary - first_token, logits, -float("inf"))
    largest = tl.max(logits, 1)
    first = tl.min(tl.where(logits == largest[:, None], token[None, :], BLOCK_V), 1)
    shifted = logits - tl.where(largest == -float("inf"), 0.0, largest)[:, None]
    exponentials = tl.exp2(shifted * LOG2_E)
    inside = row < rows
    left = token_tile.to(tl.int64) * rows + row
    tl.store(most + left, largest, inside)
    tl.store(likeliest + left, first_token + first, inside)
    # The sum that needs more numbers at once comes first: in the other order they do not fit the registers.
    if ENTROPIES:
        weighted = tl.where(exponentials > 0, shifted * exponentials, 0.0)
        tl.store(inner + left, tl.sum(weighted, 1), inside)
    tl.store(total + left, tl.sum(exponentials, 1), inside)
    for number in range(count):
        wanted = row.to(tl.int64) * count + number
        target = tl.load(targets + wanted, inside, -1)
        here = inside & (target // BLOCK_V == token_tile)
        # Of most tiles no row wants a token.
        if tl.max(here.to(tl.int32), 0) > 0:
            place_of = (target - first_token).to(tl.int32)
            found = tl.sum(tl.where(token[None, :] == place_of[:, None], logits, 0.0), 1)
            tl.store(own + wanted, found, here)


@triton.jit
def _row(logits, most, norms, entropies, likeliest, vocabulary, stride, BLOCK: tl.constexpr):
    """The sums of a row beside the largest number so far (Milakov and Gimelshein 2018, arXiv:1805.02867)."""
    row = tl.program_id(0).to(tl.int64)
    largest = -float("inf")
    total = 0.0
    inner = 0.0
    found = 0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        numbers = tl.load(logits + row * stride + column, column < vocabulary, -float("inf"))
        here = tl.max(numbers, 0)
        first = tl.min(tl.where(numbers == here, column, vocabulary), 0)
        found = tl.where(here > largest, first, found)
        larger = tl.maximum(largest, here)
        # Where all so far is -inf, its sums are 0 and must not become exp(-inf + inf).
        base = tl.where(larger == -float("inf"), 0.0, larger)
        moved = tl.where(largest == -float("inf"), 0.0, largest - base)
        shifted = numbers - base
        exponentials = tl.exp2(shifted * LOG2_E)
        weighted = tl.where(exponentials > 0, shifted * exponentials, 0.0)
        inner = (inner + total * moved) * tl.exp(moved) + tl.sum(weighted, 0)
        total = total * tl.exp(moved) + tl.sum(exponentials, 0)
        largest = larger
    tl.store(most + row, largest)
    tl.store(norms + row, tl.log(total))
    tl.store(entropies + row, tl.log(total) - inner / total)
    tl.store(likeliest + row, found)


@torch.no_grad()
def linear_scoring(
    hidden_RW: Tensor, head: Head, targets_RK: Tensor, *, entropies: bool = False, exact: bool = False
) -> Scored:
    targets_RK = targets_RK.contiguous()
    if isinstance(head, Tensor):
        if not exact:
            return _by_weight(hidden_RW, head, targets_RK, entropies)
        head = ExactLinear(head, None)
    return _by_layer(hidden_RW, head, targets_RK, entropies)


def _by_weight(hidden_RW: Tensor, weight_VW: Tensor, targets_RK: Tensor, entropies: bool) -> Scored:
    hidden_RW, weight_VW = rows_of(hidden_RW), rows_of(weight_VW)
    (rows, width), vocabulary = hidden_RW.shape, len(weight_VW)
    tile = _tile_for(hidden_RW, weight_VW)
    tiles = triton.cdiv(vocabulary, tile.tokens)
    most_TR, total_TR, inner_TR = hidden_RW.new_empty((3, tiles, rows), dtype=torch.float32)
    likeliest_TR = hidden_RW.new_empty((tiles, rows), dtype=torch.int32)
    own_RK = hidden_RW.new_empty(targets_RK.shape, dtype=torch.float32)
    if rows:
        with on_device_of(hidden_RW):
            _tile[(triton.cdiv(rows, tile.rows) * tiles,)](
                hidden_RW, weight_VW, targets_RK, most_TR, total_TR, inner_TR, likeliest_TR, own_RK, rows, vocabulary,
                width, targets_RK.shape[1], hidden_RW.stride(0), weight_VW.stride(0), EVEN=width % tile.inputs == 0,
                ENTROPIES=entropies, UPCAST=INTERPRETED, GROUP=GROUP, BLOCK_R=tile.rows, BLOCK_V=tile.tokens,
                BLOCK_W=tile.inputs, num_warps=tile.warps, num_stages=tile.stages,
            )  # fmt: skip
    most_R, tile_R = most_TR.max(0)
    shift_TR = most_TR - most_R
    share_TR = shift_TR.exp()
    total_R = (total_TR * share_TR).sum(0)
    norms_R = total_R.log()
    entropies_R = None
    if entropies:
        # Tiles of tokens that cannot be have the share 0 and the shift -inf.
        moved_TR = inner_TR + total_TR * shift_TR.clamp(min=torch.finfo(torch.float32).min)
        entropies_R = norms_R - (moved_TR * share_TR).sum(0) / total_R
    first_R1 = likeliest_TR.gather(0, tile_R[None]).t()
    return Scored(own_RK - most_R[:, None] - norms_R[:, None], first_R1 == targets_RK, entropies_R)


def _tile_for(hidden_RW: Tensor, weight_VW: Tensor) -> Tile:
    same = hidden_RW.dtype == weight_VW.dtype
    kind = "halves" if same and hidden_RW.element_size() == 2 else "whole"
    by_rows: tuple[Tile, ...] = TILES[target_of(hidden_RW)][kind]
    if not same:  # numbers that become fp32 on the way leave registers for the smallest tile only
        by_rows = by_rows[:1]
    return next((each for each in by_rows if len(hidden_RW) <= each.rows), by_rows[-1])


def _by_layer(hidden_RW: Tensor, layer: Layer, targets_RK: Tensor, entropies: bool) -> Scored:
    rows = len(hidden_RW)
    most_R, norms_R, entropies_R = hidden_RW.new_empty((3, rows), dtype=torch.float32)
    likeliest_R = hidden_RW.new_empty(rows, dtype=torch.int64)
    own_RK = hidden_RW.new_empty(targets_RK.shape, dtype=torch.float32)
    for at, logits_CV in in_chunks(hidden_RW, layer):
        with on_device_of(logits_CV):
            _row[(len(logits_CV),)](
                logits_CV, most_R[at], norms_R[at], entropies_R[at], likeliest_R[at], logits_CV.shape[1],
                logits_CV.stride(0), BLOCK=min(BLOCK, row_block(logits_CV.shape[1])), num_warps=8,
            )  # fmt: skip
        own_RK[at] = logits_CV.gather(1, targets_RK[at])
    scores_RK = own_RK - most_R[:, None] - norms_R[:, None]
    return Scored(scores_RK, likeliest_R[:, None] == targets_RK, entropies_R if entropies else None)
