"""Chunks side by side: what each leaves by itself, what that makes of the state before each, and then its outputs.

A program holds the states of one chunk for a block of channels, never writes them, and in the backward pass computes
them again. Between the passes there is one state a chunk. The gradients by B and C are sums over channels: a program
of the backward pass goes through several blocks of channels in order, and what the programs of a chunk have is added by
torch: there are no atomics.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, row_block

PROGRAMS = 1024
"""Of a backward pass at least, as far as there are blocks of channels: what fills a GPU."""


@triton.jit
def _then(decay, taken, later_decay, later_taken):
    """One step (2a) behind another, or one stretch of them."""
    return decay * later_decay, later_decay * taken + later_taken


@triton.jit
def _of_channels(at, batch, tokens, channels, token, channel):
    """Of `[B, T, E]` the numbers of tokens and channels in fp32, [L, E]; 0 where there are none."""
    inside = (token[:, None] >= 0) & (token[:, None] < tokens) & (channel[None, :] < channels)
    offset = (batch * tokens + token[:, None]) * channels + channel[None, :]
    return tl.load(at + offset, inside, 0.0).to(tl.float32)


@triton.jit
def _of_states(at, row, channels, numbers, channel, number):
    """Of `[..., E, N]` the numbers of one row, [E, N]."""
    inside = (channel[:, None] < channels) & (number[None, :] < numbers)
    return tl.load(at + (row * channels + channel[:, None]) * numbers + number[None, :], inside, 0.0)


@triton.jit
def _put_states(at, row, channels, numbers, channel, number, values):
    inside = (channel[:, None] < channels) & (number[None, :] < numbers)
    tl.store(at + (row * channels + channel[:, None]) * numbers + number[None, :], values, inside)


@triton.jit
def _leave(
    x, delta, A, B, left, totals, tokens, channels, numbers, chunks,
    BLOCK_L: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """What a chunk leaves of a state of zero, ``sum_t exp(A (Δ_(t+1) + ... + Δ_L)) Δ_t x_t B_t``, for the next one."""
    chunk = tl.program_id(0)
    batch = tl.program_id(1).to(tl.int64)
    token = chunk * BLOCK_L + tl.arange(0, BLOCK_L)
    channel = tl.program_id(2) * BLOCK_E + tl.arange(0, BLOCK_E)
    number = tl.arange(0, BLOCK_N)
    step = _of_channels(delta, batch, tokens, channels, token, channel)
    scaled = step * _of_channels(x, batch, tokens, channels, token, channel)
    within = tl.arange(0, BLOCK_L)[:, None] < BLOCK_L - 1
    later = tl.where(within, _of_channels(delta, batch, tokens, channels, token + 1, channel), 0.0)
    way = tl.cumsum(later, 0, reverse=True)
    decay = tl.exp(way[:, :, None] * _of_states(A, 0, channels, numbers, channel, number)[None, :, :])
    taken = scaled[:, :, None] * _of_channels(B, batch, tokens, numbers, token, number)[:, None, :]
    row = batch * chunks + chunk
    _put_states(left, row + 1, channels, numbers, channel, number, tl.sum(decay * taken, 0))
    tl.store(totals + row * channels + channel, tl.sum(step, 0), channel < channels)


@triton.jit
def _return(
    by_y, delta, A, C, left, totals, tokens, channels, numbers, chunks,
    BLOCK_L: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The same backwards: the gradient by the state before a chunk of the chunk's own outputs,
    ``sum_t exp(A (Δ_1 + ... + Δ_t)) C_t g_t``, for the chunk before."""
    chunk = tl.program_id(0) + 1
    batch = tl.program_id(1).to(tl.int64)
    token = chunk * BLOCK_L + tl.arange(0, BLOCK_L)
    channel = tl.program_id(2) * BLOCK_E + tl.arange(0, BLOCK_E)
    number = tl.arange(0, BLOCK_N)
    step = _of_channels(delta, batch, tokens, channels, token, channel)
    way = tl.cumsum(step, 0)
    decay = tl.exp(way[:, :, None] * _of_states(A, 0, channels, numbers, channel, number)[None, :, :])
    gradient = _of_channels(by_y, batch, tokens, channels, token, channel)
    given = gradient[:, :, None] * _of_channels(C, batch, tokens, numbers, token, number)[:, None, :]
    row = batch * chunks + chunk
    _put_states(left, row - 1, channels, numbers, channel, number, tl.sum(decay * given, 0))
    tl.store(totals + row * channels + channel, tl.sum(step, 0), channel < channels)


@triton.jit
def _carry(
    left, totals, A, first, channels, numbers, chunks,
    BLOCK_E: tl.constexpr, BLOCK_N: tl.constexpr, REVERSED: tl.constexpr,
):  # fmt: skip
    """In place of what the chunk before each leaves, the state before each: ``exp(A total)`` times the one before that,
    and what is left; reversed, from the last chunk to the first."""
    batch = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    number = tl.arange(0, BLOCK_N)
    shrink = _of_states(A, 0, channels, numbers, channel, number)
    state = _of_states(first, batch, channels, numbers, channel, number)
    row = batch * chunks
    if REVERSED:
        row += chunks - 1
    _put_states(left, row, channels, numbers, channel, number, state)
    for _ in range(1, chunks):
        total = tl.load(totals + row * channels + channel, channel < channels, 0.0)
        if REVERSED:
            row -= 1
        else:
            row += 1
        state = tl.exp(total[:, None] * shrink) * state + _of_states(left, row, channels, numbers, channel, number)
        _put_states(left, row, channels, numbers, channel, number, state)


@triton.jit
def _outputs(
    x, delta, A, B, C, starts, y, last, tokens, channels, numbers, chunks,
    BLOCK_L: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The outputs of a chunk, of the state before it; of the last chunk the state behind it."""
    chunk = tl.program_id(0)
    batch = tl.program_id(1).to(tl.int64)
    token = chunk * BLOCK_L + tl.arange(0, BLOCK_L)
    channel = tl.program_id(2) * BLOCK_E + tl.arange(0, BLOCK_E)
    number = tl.arange(0, BLOCK_N)
    within = tl.arange(0, BLOCK_L)[:, None, None]
    step = _of_channels(delta, batch, tokens, channels, token, channel)
    scaled = step * _of_channels(x, batch, tokens, channels, token, channel)
    decay = tl.exp(step[:, :, None] * _of_states(A, 0, channels, numbers, channel, number)[None, :, :])
    taken = scaled[:, :, None] * _of_channels(B, batch, tokens, numbers, token, number)[:, None, :]
    start = _of_states(starts, batch * chunks + chunk, channels, numbers, channel, number)
    taken += tl.where(within == 0, decay * start[None, :, :], 0.0)
    _, states = tl.associative_scan((decay, taken), 0, _then)
    said = tl.sum(states * _of_channels(C, batch, tokens, numbers, token, number)[:, None, :], 2)
    inside = (token[:, None] < tokens) & (channel[None, :] < channels)
    tl.store(y + (batch * tokens + token[:, None]) * channels + channel[None, :], said, inside)
    if chunk == chunks - 1:
        # Behind the last token steps are of length 0, which leave the state as it is.
        end = tl.sum(tl.where(within == BLOCK_L - 1, states, 0.0), 0)
        _put_states(last, batch, channels, numbers, channel, number, end)


@triton.jit
def _gradients(
    x, delta, A, B, C, starts, by_y, ends, by_x, by_delta, by_B, by_C, by_first, tokens, channels, numbers, chunks,
    blocks_each, BLOCK_L: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """All gradients of a chunk, of the state before it and the gradient by the state behind it (`ends`), in the place
    of which comes the one by A."""
    chunk = tl.program_id(0)
    batch = tl.program_id(1).to(tl.int64)
    share = tl.program_id(2)
    token = chunk * BLOCK_L + tl.arange(0, BLOCK_L)
    number = tl.arange(0, BLOCK_N)
    within = tl.arange(0, BLOCK_L)[:, None, None]
    row = batch * chunks + chunk
    B_now = _of_channels(B, batch, tokens, numbers, token, number)
    C_now = _of_channels(C, batch, tokens, numbers, token, number)
    B_before = _of_channels(B, batch, tokens, numbers, token - 1, number)
    all_B = tl.zeros((BLOCK_L, BLOCK_N), tl.float32)
    all_C = tl.zeros((BLOCK_L, BLOCK_N), tl.float32)
    for block in range(share * blocks_each, (share + 1) * blocks_each):
        channel = block * BLOCK_E + tl.arange(0, BLOCK_E)
        shrink = _of_states(A, 0, channels, numbers, channel, number)[None, :, :]
        step = _of_channels(delta, batch, tokens, channels, token, channel)
        numbers_in = _of_channels(x, batch, tokens, channels, token, channel)
        gradient = _of_channels(by_y, batch, tokens, channels, token, channel)
        decay = tl.exp(step[:, :, None] * shrink)
        scaled = step * numbers_in
        # The states before each token: those behind the token before, and before the first the chunk's.
        step_before = _of_channels(delta, batch, tokens, channels, token - 1, channel)
        scaled_before = step_before * _of_channels(x, batch, tokens, channels, token - 1, channel)
        start = _of_states(starts, row, channels, numbers, channel, number)[None, :, :]
        taken = tl.where(within == 0, start, scaled_before[:, :, None] * B_before[:, None, :])
        _, before = tl.associative_scan((tl.exp(step_before[:, :, None] * shrink), taken), 0, _then)
        states = decay * before + scaled[:, :, None] * B_now[:, None, :]
        all_C += tl.sum(states * gradient[:, :, None], 1)
        # The gradient by each state, from the last token to the first.
        step_behind = _of_channels(delta, batch, tokens, channels, token + 1, channel)
        end = _of_states(ends, row, channels, numbers, channel, number)[None, :, :]
        given = gradient[:, :, None] * C_now[:, None, :] + tl.where(within == BLOCK_L - 1, end, 0.0)
        _, by_states = tl.associative_scan((tl.exp(step_behind[:, :, None] * shrink), given), 0, _then, reverse=True)
        all_B += tl.sum(by_states * scaled[:, :, None], 1)
        by_scaled = tl.sum(by_states * B_now[:, None, :], 2)
        by_decay = by_states * decay
        by_exponent = by_decay * before
        inside = (token[:, None] < tokens) & (channel[None, :] < channels)
        offset = (batch * tokens + token[:, None]) * channels + channel[None, :]
        tl.store(by_x + offset, (by_scaled * step).to(by_x.dtype.element_ty), inside)
        tl.store(by_delta + offset, tl.sum(by_exponent * shrink, 2) + by_scaled * numbers_in, inside)
        _put_states(ends, row, channels, numbers, channel, number, tl.sum(by_exponent * step[:, :, None], 0))
        if chunk == 0:
            by_start = tl.sum(tl.where(within == 0, by_decay, 0.0), 0)
            _put_states(by_first, batch, channels, numbers, channel, number, by_start)
    inside = (token[:, None] < tokens) & (number[None, :] < numbers)
    offset = ((share * tl.num_programs(1) + batch) * tokens + token[:, None]) * numbers + number[None, :]
    tl.store(by_B + offset, all_B, inside)
    tl.store(by_C + offset, all_C, inside)


def selective_scan(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _SelectiveScan.apply(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)
    return found


class _Sizes(NamedTuple):
    """Of a scan, and of its tiles: with so many channels a thread has a number of a state for all tokens of a chunk."""

    batch: int
    tokens: int
    channels: int
    numbers: int
    chunk: int
    block: int
    block_n: int
    warps: int

    @property
    def chunks(self) -> int:
        return -(-self.tokens // self.chunk)

    @property
    def blocks(self) -> int:
        return -(-self.channels // self.block)

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        return self.tokens, self.channels, self.numbers, self.chunks

    @property
    def constants(self) -> dict[str, int]:
        return {"BLOCK_L": self.chunk, "BLOCK_E": self.block, "BLOCK_N": self.block_n, "num_warps": self.warps}


def _sizes(x_BTE: Tensor, state_BEN: Tensor) -> _Sizes:
    block_n = row_block(state_BEN.shape[2])
    block = 2 if INTERPRETED else max(1, 128 // block_n)
    batch, tokens, channels = x_BTE.shape
    chunk = 4 if INTERPRETED else 16
    return _Sizes(batch, tokens, channels, state_BEN.shape[2], chunk, block, block_n, max(4, block_n // 32))


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
    ) -> tuple[Tensor, Tensor]:
        x, delta, A, B, C, first = (
            each.contiguous() for each in (x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)
        )  # fmt: skip
        sizes = _sizes(x, first)
        y, last = torch.empty_like(delta), torch.empty_like(first)
        starts_BGEN = first[:, None]
        with on_device_of(x):
            if sizes.chunks > 1:
                starts_BGEN, totals_BGE = _between(first, sizes)
                _leave[(sizes.chunks - 1, sizes.batch, sizes.blocks)](
                    x, delta, A, B, starts_BGEN, totals_BGE, *sizes.arguments, **sizes.constants
                )
                _carry_on(starts_BGEN, totals_BGE, A, first, sizes, reversed=False)
            _outputs[(sizes.chunks, sizes.batch, sizes.blocks)](
                x, delta, A, B, C, starts_BGEN, y, last, *sizes.arguments, **sizes.constants
            )
        ctx.save_for_backward(x, delta, A, B, C, starts_BGEN)
        ctx.sizes = sizes
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y_BTE: Tensor, by_last_BEN: Tensor) -> tuple[Tensor, ...]:
        x, delta, A, B, C, starts_BGEN = ctx.saved_tensors
        sizes: _Sizes = ctx.sizes
        by_y, by_last = by_y_BTE.contiguous(), by_last_BEN.contiguous()
        ends_BGEN, totals_BGE = _between(by_last, sizes)
        shares = max(1, min(sizes.blocks, PROGRAMS // (sizes.chunks * sizes.batch)))
        each = triton.cdiv(sizes.blocks, shares)
        shares = triton.cdiv(sizes.blocks, each)
        by_x, by_delta, by_first = torch.empty_like(x), torch.empty_like(delta), torch.empty_like(by_last)
        by_B_SBTN, by_C_SBTN = (delta.new_empty((shares, *B.shape)) for _ in range(2))
        with on_device_of(x):
            if sizes.chunks > 1:
                _return[(sizes.chunks - 1, sizes.batch, sizes.blocks)](
                    by_y, delta, A, C, ends_BGEN, totals_BGE, *sizes.arguments, **sizes.constants
                )
            _carry_on(ends_BGEN, totals_BGE, A, by_last, sizes, reversed=True)
            _gradients[(sizes.chunks, sizes.batch, shares)](
                x, delta, A, B, C, starts_BGEN, by_y, ends_BGEN, by_x, by_delta, by_B_SBTN, by_C_SBTN, by_first,
                *sizes.arguments, each, **sizes.constants,
            )  # fmt: skip
        by_A = ends_BGEN.sum((0, 1))
        return by_x, by_delta, by_A, by_B_SBTN.sum(0).to(B.dtype), by_C_SBTN.sum(0).to(C.dtype), by_first


def _between(like_BEN: Tensor, sizes: _Sizes) -> tuple[Tensor, Tensor]:
    """Room for a state before or behind each chunk, and for the sum of its steps."""
    states_BGEN = like_BEN.new_empty((sizes.batch, sizes.chunks, sizes.channels, sizes.numbers))
    return states_BGEN, like_BEN.new_empty((sizes.batch, sizes.chunks, sizes.channels))


def _carry_on(
    left_BGEN: Tensor, totals_BGE: Tensor, A_EN: Tensor, first_BEN: Tensor, sizes: _Sizes, *, reversed: bool
) -> None:
    _carry[(sizes.batch, sizes.blocks)](
        left_BGEN, totals_BGE, A_EN, first_BEN, sizes.channels, sizes.numbers, sizes.chunks,
        BLOCK_E=sizes.block, BLOCK_N=sizes.block_n, REVERSED=reversed, num_warps=sizes.warps,
    )  # fmt: skip
