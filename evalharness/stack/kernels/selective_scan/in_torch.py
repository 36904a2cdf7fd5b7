"""Piece by piece: of a sequence's states only those between two pieces are kept, for the backward pass.

A piece is computed in chunks side by side where that is the quicker way, else token by token.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from evalharness.stack.kernels.selective_scan.reference import by_token

NUMBERS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 24}
"""Numbers of all states that chunks hold at once: on a processor what they are computed of stays in its cache."""
FEWEST = 32
"""Tokens below which chunks are no quicker there than one token after another."""
SHORTEST = 16
"""Tokens of a piece whose states are computed again in the backward pass, at least: what is kept is so much smaller."""


def selective_scan(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    wide = state_BEN.dtype
    if x_BTE.dtype != wide:
        x_BTE, B_BTN, C_BTN = x_BTE.to(wide), B_BTN.to(wide), C_BTN.to(wide)
    kind = x_BTE.device.type
    if torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            return _with_gradients(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)
    return _with_gradients(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)


def _with_gradients(*given: Tensor) -> tuple[Tensor, Tensor]:
    if torch.is_grad_enabled() and any(each.requires_grad for each in given):
        found: tuple[Tensor, Tensor] = _SelectiveScan.apply(*given)  # type: ignore[no-untyped-call]
        return found
    return forward(*given)


def forward(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    """The quickest way: in chunks on a GPU, and on a processor where a step of small states takes longer to begin than
    to compute."""
    tokens, kind = x_BTE.shape[1], x_BTE.device.type
    at_once = NUMBERS_AT_ONCE.get(kind, NUMBERS_AT_ONCE["cpu"]) // max(state_BEN.numel(), 1)
    if min(tokens, at_once) < FEWEST:
        # A product of one sequence has other bits than one of several tokens.
        some = min(tokens, at_once // 2) if len(state_BEN) > 1 else 1
        if some > 1:
            return by_some_tokens(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN, some)
        return by_token(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)
    outputs = []
    for begin in range(0, tokens, at_once):
        x, delta, B, C = (each[:, begin : begin + at_once] for each in (x_BTE, delta_BTE, B_BTN, C_BTN))
        outputs_BTE, state_BEN = in_chunks(x, delta, A_EN, B, C, state_BEN, isqrt(x.shape[1]))
        outputs.append(outputs_BTE)
    return torch.cat(outputs, dim=1), state_BEN


def by_some_tokens(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor, some: int
) -> tuple[Tensor, Tensor]:
    """`by_token` with the same bits: of `some` tokens at once whatever does not wait for the state before."""
    x_TBE, delta_TBE, B_TBN, C_TBN = (each.transpose(0, 1) for each in (x_BTE, delta_BTE, B_BTN, C_BTN))
    scaled_TBE = delta_TBE * x_TBE
    space_LBEN, states_LBEN = state_BEN.new_empty((2, some, *state_BEN.shape)).unbind()
    outputs = []
    for begin in range(0, len(x_TBE), some):
        here = slice(begin, begin + some)
        count = len(x_TBE[here])
        decay_LBEN = torch.mul(delta_TBE[here, ..., None], A_EN, out=space_LBEN[:count]).exp_()  # (4)
        taken_LBEN = torch.mul(B_TBN[here, :, None, :], scaled_TBE[here, ..., None], out=states_LBEN[:count])
        for decay_BEN, taken_BEN in zip(decay_LBEN.unbind(), taken_LBEN.unbind(), strict=True):
            state_BEN = taken_BEN.add_(decay_BEN.mul_(state_BEN))  # (2a)
        state_BEN = state_BEN.clone()
        outputs.append((taken_LBEN @ C_TBN[here, ..., None])[..., 0].transpose(0, 1))  # (2b)
    return torch.cat(outputs, dim=1), state_BEN


def in_chunks(
    x_BTE: Tensor,
    delta_BTE: Tensor,
    A_EN: Tensor,
    B_BTN: Tensor,
    C_BTN: Tensor,
    state_BEN: Tensor,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """`chunk` tokens apart: ``chunk + T / chunk`` steps in place of T."""
    tokens = x_BTE.shape[1]
    chunks = -(-tokens // chunk)
    # A step of length 0 leaves the state as it is: Ā = 1, B̄ = 0.
    room = (0, 0, 0, chunks * chunk - tokens)
    x_BGLE, delta_BGLE, B_BGLN, C_BGLN = (
        F.pad(each, room).view(each.shape[0], chunks, chunk, -1) for each in (x_BTE, delta_BTE, B_BTN, C_BTN)
    )
    decay_BGLEN = torch.exp(delta_BGLE[..., None] * A_EN)  # (4)
    taken_BGLEN = (delta_BGLE * x_BGLE)[..., None] * B_BGLN[..., None, :]
    running_BGEN = F.pad(state_BEN[:, None], (0, 0, 0, 0, 0, chunks - 1))  # the first chunk goes on, the others begin
    states = []
    for token in range(chunk):
        running_BGEN = torch.addcmul(taken_BGLEN[:, :, token], decay_BGLEN[:, :, token], running_BGEN)  # (2a)
        states.append(running_BGEN)
    states_BGLEN = torch.stack(states, dim=2)
    if chunks > 1:
        states_BGLEN = states_BGLEN + _carried(states_BGLEN[:, :, -1], delta_BGLE, A_EN)
    outputs_BGLE = (states_BGLEN @ C_BGLN[..., None])[..., 0]  # (2b)
    return outputs_BGLE.flatten(1, 2)[:, :tokens], states_BGLEN[:, -1, -1]


def _carried(left_BGEN: Tensor, delta_BGLE: Tensor, A_EN: Tensor) -> Tensor:
    """What all earlier chunks add to the state at each token, [B, G, L, E, N], of what each left by itself."""
    shrink_BGLEN = torch.exp(delta_BGLE.cumsum(2)[..., None] * A_EN)
    starts = [torch.zeros_like(left_BGEN[:, 0])]
    for chunk in range(left_BGEN.shape[1] - 1):
        starts.append(torch.addcmul(left_BGEN[:, chunk], shrink_BGLEN[:, chunk, -1], starts[-1]))
    return shrink_BGLEN * torch.stack(starts, dim=1)[:, :, None]


def piece_length(numbers: int) -> int:
    """Tokens of a piece in the backward pass, of states of so many numbers in a batch."""
    return max(SHORTEST, NUMBERS_AT_ONCE["cpu"] // max(numbers, 1))


def numbers_again(tokens: int, numbers: int) -> int:
    """Numbers that the backward pass holds at once of the states that it computes again: of each token of a piece its
    decays, states, gradients, and a product of them."""
    return 4 * min(tokens, piece_length(numbers)) * numbers


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.piece = piece_length(state_BEN.numel())
        starts, outputs = [], []
        for x, delta, B, C in _pieces(ctx.piece, x_BTE, delta_BTE, B_BTN, C_BTN):
            starts.append(state_BEN)
            outputs_BLE, state_BEN = forward(x, delta, A_EN, B, C, state_BEN)
            outputs.append(outputs_BLE)
        ctx.save_for_backward(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, torch.stack(starts))
        return torch.cat(outputs, dim=1), state_BEN

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y_BTE: Tensor, by_state_BEN: Tensor) -> tuple[Tensor, ...]:
        x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, starts_PBEN = ctx.saved_tensors
        by_A_EN = torch.zeros_like(A_EN)
        found = []
        with torch.autocast(x_BTE.device.type, enabled=False):
            cut = list(zip(_pieces(ctx.piece, x_BTE, delta_BTE, B_BTN, C_BTN, by_y_BTE), starts_PBEN, strict=True))
            for (x, delta, B, C, by_y), start_BEN in reversed(cut):
                *by_piece, added_EN, by_state_BEN = _backward(x, delta, A_EN, B, C, start_BEN, by_y, by_state_BEN)
                by_A_EN += added_EN
                found.append(by_piece)
        by_x, by_delta, by_B, by_C = (torch.cat(parts).transpose(0, 1) for parts in zip(*reversed(found), strict=True))
        return by_x, by_delta, by_A_EN, by_B, by_C, by_state_BEN


def _pieces(length: int, *sequences: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(each, length, dim=1) for each in sequences), strict=True))


def _backward(
    x_BLE: Tensor,
    delta_BLE: Tensor,
    A_EN: Tensor,
    B_BLN: Tensor,
    C_BLN: Tensor,
    start_BEN: Tensor,
    by_y_BLE: Tensor,
    by_end_BEN: Tensor,
) -> tuple[Tensor, ...]:
    """Of a piece the gradients by x, delta, B and C with the tokens in front, by A, and by the state before the piece,
    of those by the outputs and by the state behind the piece."""
    x_LBE, delta_LBE, B_LBN, C_LBN, by_y_LBE = (
        each.transpose(0, 1).contiguous() for each in (x_BLE, delta_BLE, B_BLN, C_BLN, by_y_BLE)
    )
    length, scaled_LBE = len(x_LBE), delta_LBE * x_LBE
    decay_LBEN = torch.exp(delta_LBE[..., None] * A_EN)  # (4)
    states_LBEN = decay_LBEN.new_empty((length + 1, *start_BEN.shape))  # before each token, and behind the last
    states_LBEN[0] = start_BEN
    torch.mul(scaled_LBE[..., None], B_LBN[:, :, None, :], out=states_LBEN[1:])
    for token in range(length):
        states_LBEN[token + 1].addcmul_(decay_LBEN[token], states_LBEN[token])  # (2a)
    by_states_LBEN = by_y_LBE[..., None] * C_LBN[:, :, None, :]
    by_states_LBEN[-1] += by_end_BEN
    for token in range(length - 1, 0, -1):
        by_states_LBEN[token - 1].addcmul_(decay_LBEN[token], by_states_LBEN[token])
    by_start_BEN = decay_LBEN[0] * by_states_LBEN[0]
    by_C_LBN = (by_y_LBE[:, :, None, :] @ states_LBEN[1:])[:, :, 0]
    by_B_LBN = (scaled_LBE[:, :, None, :] @ by_states_LBEN)[:, :, 0]
    by_scaled_LBE = (by_states_LBEN @ B_LBN[..., None])[..., 0]
    by_exponent_LBEN = by_states_LBEN.mul_(decay_LBEN).mul_(states_LBEN[:-1])
    by_A_EN = (by_exponent_LBEN * delta_LBE[..., None]).sum((0, 1))
    by_delta_LBE = by_exponent_LBEN.mul_(A_EN).sum(-1) + by_scaled_LBE * x_LBE
    return by_scaled_LBE * delta_LBE, by_delta_LBE, by_B_LBN, by_C_LBN, by_A_EN, by_start_BEN
