"""Rotary embedding (RoPE, Su et al. 2021, arXiv:2104.09864), of whole heads or of their front.

Scalings for long contexts are in the cosines and sines, which `layers.rotary.rotation` makes.
Letters: T tokens, H heads, D numbers of a head, E those that are turned.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_ARGUMENTS = {
    "x": "*T", "cos": "*T", "sin": "*T", "y": "*T", "heads": "i32", "size": "i32", "half": "i32",
    "places": "i32", "token_stride": "i64", "head_stride": "i64",
}  # fmt: skip
_WHOLE = {"REST": False, "HEADS": 16, "HALF": 64, "KEPT": 1}
_FRONT = {"REST": True, "HEADS": 16, "HALF": 16, "KEPT": 128}
OP = Op(
    "rope",
    (
        Signature(kernel="_turn", arguments=_ARGUMENTS, constants=tuple(_WHOLE | {"BACK": x} for x in (False, True))),
        Signature(
            kernel="_turn", arguments=_ARGUMENTS, constants=tuple(_FRONT | {"BACK": x} for x in (False, True)), warps=8
        ),
    ),
    largest=2**11,
    row_wise=True,
)


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The pairs ``(a, b) = (x[i], x[i + E/2])`` of every head as ``(a cos - b sin, b cos + a sin)``; the rest as it is.

    All of it is of the dtype that x and cos are promoted to: autocast gives bf16 to angles in fp32.

    Args:
        x: [..., T, H, D].
        cos: [..., T, 1, E], equal in both halves.
        sin: as cos, with the sign of what is multiplied by the other of the pair: ``(-s, s)``.
    """
    found: Tensor = OP.implementation(x).rope(x, cos, sin)
    return found
