"""The selective state space of Mamba (Gu and Dao 2023, arXiv:2312.00752), token by token and in chunks.

A state space maps each channel x(t) of its input by way of a state h(t) of N numbers to y(t):

    h'(t) = A h(t) + B x(t)       (1a)        h_t = Ā h_(t-1) + B̄ x_t       (2a)
    y(t)  = C h(t)                (1b)        y_t = C h_t                   (2b)

where (2) is (1) in steps of length Δ. Holding the input over a step (zero-order hold) gives

    Ā = exp(Δ A),    B̄ = (Δ A)^-1 (exp(Δ A) - I) Δ B                        (4)

and of B̄ the published models compute the first order in Δ, ``B̄ = Δ B``. A is diagonal: a number for each channel and
number of its state. What makes the space selective is that Δ, B and C are computed from the input, so that they differ
from token to token (algorithm 2), and no convolution (3) equals (2) any more.

Letters in names: B batch, T tokens, E channels, N numbers of a channel's state, G chunks, L tokens of a chunk. At
the front of a name A, B and C are the paper's.
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F

NUMBERS_AT_ONCE = 1 << 17
"""Numbers of all states that chunks hold at once on a processor: what they are computed of stays in its cache."""
FEWEST = 32
"""Tokens below which chunks are no quicker there than one token after another."""


def scan(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    """As `scan_by_token`, the quickest way: in chunks on a GPU, and on a processor where a step of small states takes
    longer to begin than to compute."""
    tokens = x_BTE.shape[1]
    at_once = NUMBERS_AT_ONCE // state_BEN.numel() if x_BTE.device.type == "cpu" else tokens
    if min(tokens, at_once) < FEWEST:
        return scan_by_token(x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN)
    outputs = []
    for begin in range(0, tokens, at_once):
        x, delta, B, C = (each[:, begin : begin + at_once] for each in (x_BTE, delta_BTE, B_BTN, C_BTN))
        outputs_BTE, state_BEN = scan_in_chunks(x, delta, A_EN, B, C, state_BEN, isqrt(x.shape[1]))
        outputs.append(outputs_BTE)
    return torch.cat(outputs, dim=1), state_BEN


def scan_by_token(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    """y of shape [B, T, E] and the state after the last token: (2a) and (2b) as they are written.

    `state_BEN` is the state before the first token. All numbers are fp32, A below 0, delta at least 0.
    """
    scaled_BTE = delta_BTE * x_BTE
    outputs = []
    for token in range(x_BTE.shape[1]):
        decay_BEN = torch.exp(delta_BTE[:, token, :, None] * A_EN)  # (4)
        taken_BEN = B_BTN[:, token, None, :] * scaled_BTE[:, token, :, None]  # B̄ x, with B̄ = Δ B
        state_BEN = decay_BEN * state_BEN + taken_BEN  # (2a)
        outputs.append((state_BEN @ C_BTN[:, token, :, None])[..., 0])  # (2b)
    return torch.stack(outputs, dim=1), state_BEN


def scan_in_chunks(
    x_BTE: Tensor,
    delta_BTE: Tensor,
    A_EN: Tensor,
    B_BTN: Tensor,
    C_BTN: Tensor,
    state_BEN: Tensor,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """As `scan_by_token`, `chunk` tokens apart: all chunks run side by side, each from a state of zero, and then what
    one leaves is carried into the next, shrunk on its way to each token by the product of all Ā up to there.

    That takes ``chunk + T / chunk`` steps in place of T. No Ā is above 1, so that nothing overflows however far it is
    carried.
    """
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
