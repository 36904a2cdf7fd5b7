"""Routing by a counting sort, and one launch over the tiles of all experts.

No number of tokens has to be known on the processor: as many programs are launched as there could be tiles, and each
finds its expert and its rows from the counts, or ends. Weights are reached by their addresses, so that each may stay
where it is. Tiles are of one size however many tokens an expert has, and what several rows add up to is added by one
program in order: a row's bits do not depend on what is beside it, and there are no atomics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.experts import TILES, Routes, Tile, Tiles
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, row_block, rows_of, target_of

BLOCK = 1024
"""Numbers of a row that a program of `_mix` holds at most."""


@triton.jit(do_not_specialize=["tokens"])
def _choose(
    scores, weights, chosen, ranks, counts, tokens, experts, stride,
    BLOCK_T: tl.constexpr, BLOCK_E: tl.constexpr, PER_TOKEN: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """A block of tokens: their experts, how many in the block before a token have the same one, and all counts."""
    token = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64)
    expert = tl.arange(0, BLOCK_E)
    place = tl.arange(0, BLOCK_K)
    here = token < tokens
    there = expert < experts
    score = tl.load(scores + token[:, None] * stride + expert[None, :], here[:, None] & there[None, :], 0.0)
    score = score.to(tl.float32)
    # As torch has it, no number is the largest of all; there is always an expert left to be taken.
    score = tl.where(score != score, float("inf"), score)
    free = here[:, None] & there[None, :]
    top = tl.full((BLOCK_T, BLOCK_K), float("-inf"), tl.float32)
    picked = tl.zeros((BLOCK_T, BLOCK_K), tl.int32)
    for number in range(PER_TOKEN):
        left = tl.where(free, score, float("-inf"))
        best = tl.where(here, tl.max(left, 1), 0.0)
        first = tl.min(tl.where(free & (left == best[:, None]), expert[None, :], BLOCK_E), 1)
        free = free & (expert[None, :] != first[:, None])
        top = tl.where(place[None, :] == number, best[:, None], top)
        picked = tl.where(place[None, :] == number, first[:, None], picked)
    share = tl.exp(top - tl.max(top, 1)[:, None])
    share = tl.where(place[None, :] < PER_TOKEN, share, 0.0)
    share = share / tl.sum(share, 1)[:, None]
    at = token[:, None] * PER_TOKEN + place[None, :]
    inside = here[:, None] & (place[None, :] < PER_TOKEN)
    tl.store(weights + at, share, inside)
    tl.store(chosen + at, picked.to(tl.int64), inside)
    taken = (here[:, None] & there[None, :] & (free == 0)).to(tl.int32)
    before = tl.cumsum(taken, 0) - taken
    for number in range(PER_TOKEN):
        mine = tl.sum(tl.where(place[None, :] == number, picked, 0), 1)
        rank = tl.sum(tl.where(expert[None, :] == mine[:, None], before, 0), 1)
        tl.store(ranks + token * PER_TOKEN + number, rank.to(tl.int64), here)
    tl.store(counts + tl.program_id(0) * experts + expert, tl.sum(taken, 0).to(tl.int64), there)


@triton.jit(do_not_specialize=["tokens"])
def _place(
    chosen, starts, places, tokens_of, tokens, experts,
    BLOCK_T: tl.constexpr, PER_TOKEN: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Where the passes of a block of tokens go, whose ranks are in `places`: behind all that are before them."""
    token = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64)
    number = tl.arange(0, BLOCK_K)
    at = token[:, None] * PER_TOKEN + number[None, :]
    inside = (token[:, None] < tokens) & (number[None, :] < PER_TOKEN)
    expert = tl.load(chosen + at, inside, 0)
    start = tl.load(starts + tl.program_id(0) * experts + expert, inside, 0)
    row = start + tl.load(places + at, inside, 0)
    tl.store(places + at, row, inside)
    tl.store(tokens_of + row, tl.broadcast_to(token[:, None], (BLOCK_T, BLOCK_K)), inside)


@triton.jit(do_not_specialize=["tokens"])
def _unchoose(
    by_weights, weights, chosen, by_scores, tokens, experts,
    BLOCK_T: tl.constexpr, BLOCK_E: tl.constexpr, PER_TOKEN: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """``w_k (g_k - sum_j w_j g_j)`` at the expert k of a token, and 0 at all others."""
    token = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64)
    expert = tl.arange(0, BLOCK_E)
    place = tl.arange(0, BLOCK_K)
    here = token < tokens
    inside = here[:, None] & (place[None, :] < PER_TOKEN)
    at = token[:, None] * PER_TOKEN + place[None, :]
    weight = tl.load(weights + at, inside, 0.0)
    gradient = tl.load(by_weights + at, inside, 0.0)
    picked = tl.load(chosen + at, inside, -1)
    change = weight * (gradient - tl.sum(weight * gradient, 1)[:, None])
    found = tl.zeros((BLOCK_T, BLOCK_E), tl.float32)
    for number in range(PER_TOKEN):
        mine = tl.sum(tl.where(place[None, :] == number, picked, 0), 1)
        its = tl.sum(tl.where(place[None, :] == number, change, 0.0), 1)
        found = tl.where(expert[None, :] == mine[:, None], its[:, None], found)
    there = here[:, None] & (expert[None, :] < experts)
    tl.store(by_scores + token[:, None] * experts + expert[None, :], found.to(by_scores.dtype.element_ty), there)


@triton.jit
def _mix(
    passed, places, weights, mixed, width, stride, PER_TOKEN: tl.constexpr, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    total = tl.zeros((BLOCK,), tl.float32)
    for number in range(PER_TOKEN):
        row = tl.load(places + token * PER_TOKEN + number)
        numbers = tl.load(passed + row * stride + column, inside, 0.0).to(tl.float32)
        if WEIGHTED:
            numbers = numbers * tl.load(weights + token * PER_TOKEN + number)
        total += numbers
    tl.store(mixed + token * width + column, total.to(mixed.dtype.element_ty), inside)


@triton.jit
def _unmix(
    by_mixed, passed, places, weights, by_passed, by_weights, width, by_mixed_stride, stride,
    PER_TOKEN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One pass of a token: ``w g`` for what it gave, and ``g`` times what it gave for its weight w."""
    at = tl.program_id(0).to(tl.int64)
    token = at // PER_TOKEN
    row = tl.load(places + at)
    weight = tl.load(weights + at)
    total = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, width, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        inside = column < width
        gradient = tl.load(by_mixed + token * by_mixed_stride + column, inside, 0.0).to(tl.float32)
        total += gradient * tl.load(passed + row * stride + column, inside, 0.0).to(tl.float32)
        tl.store(by_passed + row * width + column, (gradient * weight).to(by_passed.dtype.element_ty), inside)
    tl.store(by_weights + at, tl.sum(total, 0))


@triton.jit
def _tile_of(counts, experts, tile, BLOCK_E: tl.constexpr, BLOCK_P: tl.constexpr):
    """The expert of a tile of rows, the tile's first row, and the row behind the expert's last; an expert behind the
    last one where there are no rows for the tile."""
    each = tl.arange(0, BLOCK_E)
    count = tl.load(counts + each, each < experts, 0).to(tl.int32)
    tiles = (count + BLOCK_P - 1) // BLOCK_P
    expert = tl.sum((tl.cumsum(tiles, 0) <= tile).to(tl.int32), 0)
    first = tl.sum(tl.where(each < expert, count, 0), 0)
    row = first + (tile - tl.sum(tl.where(each < expert, tiles, 0), 0)) * BLOCK_P
    return expert, row, first + tl.sum(tl.where(each == expert, count, 0), 0)


@triton.jit
def _matrix(addresses, number, like):
    """Where a matrix begins; the launcher sees to it that it can be copied sixteen bytes at a time."""
    return tl.multiple_of(tl.load(addresses + number).to(tl.pointer_type(like.dtype.element_ty)), 16)


@triton.jit
def _dot(left, right, total, UPCAST: tl.constexpr):
    if UPCAST:
        return tl.dot(left.to(tl.float32), right.to(tl.float32), total, input_precision="ieee")
    return tl.dot(left, right, total, input_precision="ieee")


@triton.jit
def _product(
    x, addresses, biases, like, y, counts, experts, sides, inputs, outputs, stride,
    BLOCK_E: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr,
    BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of rows of one expert by a tile of outputs of one of its matrices."""
    expert, first, end = _tile_of(counts, experts, tl.program_id(0), BLOCK_E, BLOCK_P)
    if expert >= experts:
        return
    tiles = (outputs + BLOCK_O - 1) // BLOCK_O
    side = tl.program_id(1) // tiles
    row = first + tl.arange(0, BLOCK_P)
    output = (tl.program_id(1) % tiles) * BLOCK_O + tl.arange(0, BLOCK_O)
    # Outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(output, outputs - 1)
    matrix = _matrix(addresses, expert * sides + side, like)
    total = tl.zeros((BLOCK_P, BLOCK_O), tl.float32)
    for begin in range(0, inputs, BLOCK_I):
        at = begin + tl.arange(0, BLOCK_I)
        rows = tl.load(
            x + row[:, None].to(tl.int64) * stride + at[None, :], (row[:, None] < end) & (at[None, :] < inputs), 0.0
        )
        factors = tl.load(matrix + there[:, None].to(tl.int64) * inputs + at[None, :], at[None, :] < inputs, 0.0)
        total = _dot(rows, tl.trans(factors.to(rows.dtype)), total, UPCAST)
    if BIAS:
        bias = tl.load(biases + expert * sides + side).to(tl.pointer_type(like.dtype.element_ty))
        total += tl.load(bias + there).to(tl.float32)[None, :]
    to = y + row[:, None].to(tl.int64) * (sides * outputs) + side * outputs + output[None, :]
    tl.store(to, total.to(y.dtype.element_ty), (row[:, None] < end) & (output[None, :] < outputs))


@triton.jit
def _by_x(
    by_y, addresses, like, by_x, counts, experts, sides, inputs, outputs, stride,
    BLOCK_E: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr,
    BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of rows of one expert by a tile of inputs: ``sum_s g_s W_s`` over its matrices."""
    expert, first, end = _tile_of(counts, experts, tl.program_id(0), BLOCK_E, BLOCK_P)
    if expert >= experts:
        return
    row = first + tl.arange(0, BLOCK_P)
    at = tl.program_id(1) * BLOCK_I + tl.arange(0, BLOCK_I)
    total = tl.zeros((BLOCK_P, BLOCK_I), tl.float32)
    for side in range(sides):
        matrix = _matrix(addresses, expert * sides + side, like)
        for begin in range(0, outputs, BLOCK_O):
            output = begin + tl.arange(0, BLOCK_O)
            gradient = tl.load(
                by_y + row[:, None].to(tl.int64) * stride + side * outputs + output[None, :],
                (row[:, None] < end) & (output[None, :] < outputs),
                0.0,
            )
            factors = tl.load(
                matrix + output[:, None].to(tl.int64) * inputs + at[None, :],
                (output[:, None] < outputs) & (at[None, :] < inputs),
                0.0,
            )
            total = _dot(gradient, factors.to(gradient.dtype), total, UPCAST)
    to = by_x + row[:, None].to(tl.int64) * inputs + at[None, :]
    tl.store(to, total.to(by_x.dtype.element_ty), (row[:, None] < end) & (at[None, :] < inputs))


@triton.jit
def _by_weight(
    by_y, x, by_weights, by_biases, counts, experts, sides, inputs, outputs, by_y_stride, stride,
    BLOCK_E: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr,
    BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of one matrix's gradient, ``g^T x`` over the rows of its expert in order."""
    number = tl.program_id(0)
    expert = number // sides
    side = number % sides
    each = tl.arange(0, BLOCK_E)
    count = tl.load(counts + each, each < experts, 0).to(tl.int32)
    first = tl.sum(tl.where(each < expert, count, 0), 0)
    end = first + tl.sum(tl.where(each == expert, count, 0), 0)
    output = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    at = tl.program_id(2) * BLOCK_I + tl.arange(0, BLOCK_I)
    total = tl.zeros((BLOCK_O, BLOCK_I), tl.float32)
    # The sums of a bias are a product too, with sixteen ones, which is the least: all columns are the same.
    added = tl.zeros((BLOCK_O, 16), tl.float32)
    ones = tl.full((BLOCK_P, 16), 1.0, x.dtype.element_ty)
    for begin in range(first, end, BLOCK_P):
        row = begin + tl.arange(0, BLOCK_P)
        gradient = tl.load(
            by_y + row[:, None].to(tl.int64) * by_y_stride + side * outputs + output[None, :],
            (row[:, None] < end) & (output[None, :] < outputs),
            0.0,
        )
        rows = tl.load(
            x + row[:, None].to(tl.int64) * stride + at[None, :], (row[:, None] < end) & (at[None, :] < inputs), 0.0
        )
        total = _dot(tl.trans(gradient), rows, total, UPCAST)
        if BIAS:
            added = _dot(tl.trans(gradient), ones, added, UPCAST)
    to = by_weights + (number.to(tl.int64) * outputs + output[:, None]) * inputs + at[None, :]
    tl.store(to, total.to(by_weights.dtype.element_ty), (output[:, None] < outputs) & (at[None, :] < inputs))
    if BIAS:
        bias = by_biases + number.to(tl.int64) * outputs + output
        tl.store(
            bias, tl.max(added, 1).to(by_biases.dtype.element_ty), output < tl.where(tl.program_id(2) == 0, outputs, 0)
        )


def route(scores_TE: Tensor, per_token: int) -> Routes:
    return Routes(*_Route.apply(scores_TE, per_token))


def send(x_TW: Tensor, routes: Routes) -> Tensor:
    sent_PW: Tensor = _Send.apply(x_TW, routes.places_TK, routes.tokens_P)
    return sent_PW


def mix(passed_PW: Tensor, routes: Routes) -> Tensor:
    mixed_TW: Tensor = _Mix.apply(passed_PW, routes.weights_TK, routes.places_TK)
    return mixed_TW


def grouped_linear(x_PI: Tensor, routes: Routes, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Tensor:
    kind = x_PI.device.type
    if torch.is_autocast_enabled(kind):
        x_PI = x_PI.to(torch.get_autocast_dtype(kind))
    y_PO: Tensor = _GroupedLinear.apply(x_PI, routes.counts_E, len(weights), *weights, *biases)
    return y_PO


class _Route(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores_TE: Tensor, per_token: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scores_TE = rows_of(scores_TE)
        tokens, experts = scores_TE.shape
        block_e, block_k = row_block(experts), row_block(per_token)
        block_t = max(1, min(32, 8192 // block_e))
        blocks = triton.cdiv(tokens, block_t)
        chosen_TK = scores_TE.new_empty((tokens, per_token), dtype=torch.int64)
        places_TK, tokens_P = torch.empty_like(chosen_TK), chosen_TK.new_empty(tokens * per_token)
        weights_TK = torch.empty_like(chosen_TK, dtype=torch.float32)
        counts_GE = chosen_TK.new_zeros((blocks, experts))
        with on_device_of(scores_TE):
            if tokens:
                _choose[(blocks,)](
                    scores_TE, weights_TK, chosen_TK, places_TK, counts_GE, tokens, experts, scores_TE.stride(0),
                    BLOCK_T=block_t, BLOCK_E=block_e, PER_TOKEN=per_token, BLOCK_K=block_k,
                )  # fmt: skip
            counts_E = counts_GE.sum(0)
            # Before a block's passes come those of all experts before, and those of the same one in blocks before.
            starts_GE = counts_GE.cumsum(0) - counts_GE + (counts_E.cumsum(0) - counts_E)
            if tokens:
                _place[(blocks,)](
                    chosen_TK, starts_GE, places_TK, tokens_P, tokens, experts,
                    BLOCK_T=block_t, PER_TOKEN=per_token, BLOCK_K=block_k,
                )  # fmt: skip
        ctx.save_for_backward(weights_TK, chosen_TK)
        ctx.dtype, ctx.experts = scores_TE.dtype, experts
        ctx.mark_non_differentiable(places_TK, tokens_P, counts_E)
        return weights_TK, places_TK, tokens_P, counts_E

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_weights_TK: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        weights_TK, chosen_TK = ctx.saved_tensors
        tokens, per_token = weights_TK.shape
        by_scores_TE = weights_TK.new_empty((tokens, ctx.experts), dtype=ctx.dtype)
        block_e = row_block(ctx.experts)
        block_t = max(1, min(32, 8192 // block_e))
        if tokens:
            with on_device_of(weights_TK):
                _unchoose[(triton.cdiv(tokens, block_t),)](
                    by_weights_TK.contiguous(), weights_TK, chosen_TK, by_scores_TE, tokens, ctx.experts,
                    BLOCK_T=block_t, BLOCK_E=block_e, PER_TOKEN=per_token, BLOCK_K=row_block(per_token),
                )  # fmt: skip
        return by_scores_TE, None


class _Send(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TW: Tensor, places_TK: Tensor, tokens_P: Tensor) -> Tensor:
        ctx.save_for_backward(places_TK)
        return x_TW.index_select(0, tokens_P)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_sent_PW: Tensor) -> tuple[Tensor, None, None]:
        (places_TK,) = ctx.saved_tensors
        return _mixed(by_sent_PW, places_TK, None), None, None


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passed_PW: Tensor, weights_TK: Tensor, places_TK: Tensor) -> Tensor:
        passed_PW = rows_of(passed_PW)
        ctx.save_for_backward(passed_PW, weights_TK, places_TK)
        return _mixed(passed_PW, places_TK, weights_TK)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_mixed_TW: Tensor) -> tuple[Tensor, Tensor, None]:
        passed_PW, weights_TK, places_TK = ctx.saved_tensors
        by_mixed_TW = rows_of(by_mixed_TW)
        by_passed_PW = passed_PW.new_empty(passed_PW.shape)
        by_weights_TK = torch.zeros_like(weights_TK)
        passes, width = passed_PW.shape
        if passed_PW.numel():
            with on_device_of(passed_PW):
                _unmix[(passes,)](
                    by_mixed_TW, passed_PW, places_TK, weights_TK, by_passed_PW, by_weights_TK, width,
                    by_mixed_TW.stride(0), passed_PW.stride(0),
                    PER_TOKEN=weights_TK.shape[1], BLOCK=min(BLOCK, row_block(width)),
                )  # fmt: skip
        return by_passed_PW, by_weights_TK, None


def _mixed(passed_PW: Tensor, places_TK: Tensor, weights_TK: Tensor | None) -> Tensor:
    """The sums over each token's passes, times their weights where there are any."""
    passed_PW = rows_of(passed_PW)
    tokens, per_token = places_TK.shape
    width = passed_PW.shape[1]
    mixed_TW = passed_PW.new_empty((tokens, width))
    block = min(BLOCK, row_block(width))
    if mixed_TW.numel():
        with on_device_of(passed_PW):
            _mix[(tokens, triton.cdiv(width, block))](
                passed_PW, places_TK, passed_PW if weights_TK is None else weights_TK, mixed_TW, width,
                passed_PW.stride(0), PER_TOKEN=per_token, WEIGHTED=weights_TK is not None, BLOCK=block,
            )  # fmt: skip
    return mixed_TW


def _tiles(like: Tensor) -> Tiles:
    if INTERPRETED:
        return Tiles(*[Tile(16, 16, 16, 4, 1)] * 3)
    return TILES[target_of(like)]["halves" if like.element_size() == 2 else "whole"]


class _GroupedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_PI: Tensor, counts_E: Tensor, count: int, *parameters: Tensor) -> Tensor:
        x_PI = rows_of(x_PI)
        plain = [_aligned(each) for each in parameters]
        weights, biases = plain[:count], plain[count:]
        outputs, inputs = weights[0].shape
        sides = count // len(counts_E)
        y_PO = x_PI.new_empty((len(x_PI), sides * outputs))
        tile = _tiles(x_PI).product
        if y_PO.numel():
            with on_device_of(x_PI):
                _product[(_most(x_PI, counts_E, tile), sides * triton.cdiv(outputs, tile.outputs))](
                    x_PI, _addresses(weights), _addresses(biases or weights), weights[0], y_PO, counts_E,
                    len(counts_E), sides, inputs, outputs, x_PI.stride(0),
                    **_constants(counts_E, tile, bias=bool(biases)),
                )  # fmt: skip
        ctx.save_for_backward(x_PI, counts_E, *weights)
        ctx.bias = biases[0].dtype if biases else None
        return y_PO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y_PO: Tensor) -> tuple[Tensor | None, ...]:
        x_PI, counts_E, *weights = ctx.saved_tensors
        by_y_PO = rows_of(by_y_PO)
        wants_x, (wants_weights, *_) = ctx.needs_input_grad[0], ctx.needs_input_grad[3:]
        wants_biases = ctx.bias is not None and ctx.needs_input_grad[3 + len(weights)]
        by_x_PI = _gradient_by_x(by_y_PO, x_PI, counts_E, weights) if wants_x else None
        by_parameters: list[Tensor | None] = [None] * (len(ctx.needs_input_grad) - 3)
        if wants_weights or wants_biases:
            by_weights, by_biases = _gradients_by_weights(by_y_PO, x_PI, counts_E, weights, ctx.bias)
            by_parameters = [*by_weights.unbind(), *(() if by_biases is None else by_biases.unbind())]
        return by_x_PI, None, None, *by_parameters


def _gradient_by_x(by_y_PO: Tensor, x_PI: Tensor, counts_E: Tensor, weights: Sequence[Tensor]) -> Tensor:
    outputs, inputs = weights[0].shape
    by_x_PI = x_PI.new_empty(x_PI.shape)
    tile = _tiles(x_PI).by_x
    if by_x_PI.numel():
        with on_device_of(x_PI):
            _by_x[(_most(x_PI, counts_E, tile), triton.cdiv(inputs, tile.inputs))](
                by_y_PO, _addresses(weights), weights[0], by_x_PI, counts_E, len(counts_E),
                len(weights) // len(counts_E), inputs, outputs, by_y_PO.stride(0),
                **_constants(counts_E, tile, bias=False),
            )  # fmt: skip
    return by_x_PI


def _gradients_by_weights(
    by_y_PO: Tensor, x_PI: Tensor, counts_E: Tensor, weights: Sequence[Tensor], bias: torch.dtype | None
) -> tuple[Tensor, Tensor | None]:
    """Of all matrices, [E S, O, I], and of their biases, [E S, O], where there are any."""
    outputs, inputs = weights[0].shape
    by_weights = weights[0].new_empty((len(weights), outputs, inputs))
    by_biases = None if bias is None else by_weights.new_empty((len(weights), outputs), dtype=bias)
    tile = _tiles(x_PI).by_weight
    if outputs:
        with on_device_of(x_PI):
            _by_weight[(len(weights), triton.cdiv(outputs, tile.outputs), max(1, triton.cdiv(inputs, tile.inputs)))](
                by_y_PO, x_PI, by_weights, by_weights if by_biases is None else by_biases, counts_E, len(counts_E),
                len(weights) // len(counts_E), inputs, outputs, by_y_PO.stride(0), x_PI.stride(0),
                **_constants(counts_E, tile, bias=bias is not None),
            )  # fmt: skip
    return by_weights, by_biases


def _most(x_PI: Tensor, counts_E: Tensor, tile: Tile) -> int:
    """Tiles of rows at most, however the rows are divided among the experts."""
    return min(len(x_PI), (len(x_PI) + len(counts_E) * (tile.rows - 1)) // tile.rows)


def _constants(counts_E: Tensor, tile: Tile, *, bias: bool) -> dict[str, Any]:
    return {
        "BLOCK_E": row_block(len(counts_E)), **tile.constants(), "BIAS": bias, "UPCAST": INTERPRETED,
        "num_warps": tile.warps, "num_stages": tile.stages,
    }  # fmt: skip


def _aligned(x: Tensor) -> Tensor:
    """A tensor whose numbers lie one after another from a multiple of 16 bytes on; copied only where that is not so."""
    x = x.contiguous()
    return x.clone() if x.data_ptr() % 16 else x


def _addresses(tensors: Sequence[Tensor]) -> Tensor:
    return _table(tuple(tensor.data_ptr() for tensor in tensors), tensors[0].device)


@lru_cache(maxsize=4096)
def _table(addresses: tuple[int, ...], device: torch.device) -> Tensor:
    """Of addresses, on a device: made once as long as weights stay where they are."""
    return torch.tensor(addresses, dtype=torch.int64, device=device)
