"""The selective state space of Mamba (Gu and Dao 2023, arXiv:2312.00752).

A state space maps each channel x(t) of its input by way of a state h(t) of N numbers to y(t):

    h'(t) = A h(t) + B x(t)       (1a)        h_t = Ā h_(t-1) + B̄ x_t       (2a)
    y(t)  = C h(t)                (1b)        y_t = C h_t                   (2b)

where (2) is (1) in steps of length Δ. Holding the input over a step (zero-order hold) gives

    Ā = exp(Δ A),    B̄ = (Δ A)^-1 (exp(Δ A) - I) Δ B                        (4)

and of B̄ the published models compute the first order in Δ, ``B̄ = Δ B``. A is diagonal: a number for each channel and
number of its state. What makes the space selective is that Δ, B and C are computed from the input, so that they differ
from token to token (algorithm 2), and no convolution (3) equals (2) any more.

What one stretch of tokens leaves is carried into the next, shrunk on its way to each token by the product of all Ā up
to there: ``exp(A (Δ_1 + ... + Δ_t))``. So chunks of tokens can be computed side by side, each from a state of zero at
first; no Ā is above 1, so that nothing overflows however far it is carried. With g_t the gradient by y_t, that by the
state is the same recurrence backwards, and the others follow token by token:

    G_t = C_t g_t + Ā_(t+1) G_(t+1)
    by C_t: sum over channels of h_t g_t      by B_t: sum over channels of G_t Δ_t x_t
    by x_t: Δ_t (B_t G_t)                     by Δ_t: A (G_t Ā_t h_(t-1)) + x_t (B_t G_t)
    by A:   sum over tokens of Δ_t G_t Ā_t h_(t-1)

Letters: B batch, T tokens, E channels, N numbers of a channel's state, G chunks, L tokens of a chunk. At the front of a
name A, B and C are the paper's.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_SIZES = {"tokens": "i32", "channels": "i32", "numbers": "i32", "chunks": "i32"}
_INPUTS = {"x": "*T", "delta": "*fp32", "A": "*fp32", "B": "*T", "C": "*T"}
_LEAVE = {"x": "*T", "delta": "*fp32", "A": "*fp32", "B": "*T", "left": "*fp32", "totals": "*fp32", **_SIZES}
_RETURN = {"by_y": "*fp32", "delta": "*fp32", "A": "*fp32", "C": "*T", "left": "*fp32", "totals": "*fp32", **_SIZES}
_CARRY = {
    "left": "*fp32", "totals": "*fp32", "A": "*fp32", "first": "*fp32", "channels": "i32", "numbers": "i32",
    "chunks": "i32",
}  # fmt: skip
_OUTPUTS = {**_INPUTS, "starts": "*fp32", "y": "*fp32", "last": "*fp32", **_SIZES}
_GRADIENTS = {
    **_INPUTS, "starts": "*fp32", "by_y": "*fp32", "ends": "*fp32", "by_x": "*T", "by_delta": "*fp32",
    "by_B": "*fp32", "by_C": "*fp32", "by_first": "*fp32", **_SIZES, "blocks_each": "i32",
}  # fmt: skip
_TILE = {"BLOCK_L": 16, "BLOCK_E": 8, "BLOCK_N": 16}
OP = Op(
    "selective_scan",
    (
        Signature(kernel="_outputs", arguments=_OUTPUTS, constants=(_TILE,)),
        Signature(kernel="_leave", arguments=_LEAVE, constants=(_TILE,)),
        Signature(kernel="_return", arguments=_RETURN, constants=(_TILE,)),
        Signature(
            kernel="_carry", arguments=_CARRY, dtypes=("fp32",), constants=tuple(
                {"BLOCK_E": 8, "BLOCK_N": 16, "REVERSED": reversed} for reversed in (False, True)
            ),
        ),
        Signature(kernel="_gradients", arguments=_GRADIENTS, constants=(_TILE,)),
    ),
    largest=256,
)  # fmt: skip


def selective_scan(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    """y, [B, T, E], and the state behind the last token, both in fp32 (fp64 of fp64): (2a) and (2b).

    There is at least one token, and `state_BEN` is the state before the first. A, which is below 0, delta, which is at
    least 0, and the state are fp32; x, B and C of one dtype, which may be narrower. No tensor of all tokens, channels
    and numbers is ever there, in the backward pass neither, whose gradients are of first order only.
    """
    found: tuple[Tensor, Tensor] = OP.implementation(x_BTE, state_BEN.shape[2]).selective_scan(
        x_BTE, delta_BTE, A_EN, B_BTN, C_BTN, state_BEN
    )
    return found
