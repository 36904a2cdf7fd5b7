"""Cross entropy of logits that are there already. Letters: N rows, V vocabulary."""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

IGNORED = -100
"""The target of a row that has no loss and no gradient."""

_FORWARD = {
    "logits": "*T", "targets": "*i64", "losses": "*fp32", "norms": "*fp32", "vocabulary": "i32", "stride": "i64",
    "z_loss": "fp32",
}  # fmt: skip
_BACKWARD = {
    "by_losses": "*fp32", "logits": "*T", "targets": "*i64", "norms": "*fp32", "by_logits": "*T", "vocabulary": "i32",
    "stride": "i64", "z_loss": "fp32",
}  # fmt: skip
OP = Op(
    "cross_entropy",
    (
        Signature(kernel="_forward", arguments=_FORWARD, constants=({"BLOCK": 4096},), warps=8),
        Signature(kernel="_backward", arguments=_BACKWARD, constants=({"BLOCK": 4096},), warps=8),
    ),
)


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, z_loss: float = 0.0) -> Tensor:
    """``logsumexp(l_n) - l_n,y + z logsumexp(l_n)^2`` of each row, at least fp32; 0 where the target is `IGNORED`.

    The z-loss is that of PaLM (Chowdhery et al. 2022, arXiv:2204.02311, section 5).
    """
    found: Tensor = OP.implementation(logits_NV).cross_entropy(logits_NV, targets_N, z_loss)
    return found
