"""Vocabulary projection and cross entropy in one, without ever holding the logits of all tokens.

With weights w, targets y, logits ``l = h W^T`` and the z-loss of PaLM (Chowdhery et al. 2022, arXiv:2204.02311, section
5) the loss is

    sum_n w_n (logsumexp(l_n) - l_n,y + z logsumexp(l_n)^2)

and its gradient by the logits is ``w_n (softmax(l_n) (1 + 2 z logsumexp(l_n)) - onehot(y_n))``.
Letters: N rows, R rows of a weight that is not 0, C rows of a chunk, W width, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

FEWEST_ROWS = {"cpu": 256, "cuda": 1024}
"""Of a chunk by default: with fewer, adding to the gradient of the weight would take as long as computing it."""
LOGITS = {"cpu": 2**21, "cuda": 2**27}
"""Of a chunk by default, at most, where that is more rows: what a processor's cache holds; what fills a GPU."""

_ARGUMENTS = {
    "logits": "*fp32", "targets": "*i64", "weights": "*fp32", "losses": "*fp32", "norms": "*fp32", "by_logits": "*T",
    "vocabulary": "i32", "z_loss": "fp32",
}  # fmt: skip
OP = Op(
    "linear_cross_entropy",
    (Signature(kernel="_on_logits", arguments=_ARGUMENTS, constants=({"BLOCK": 4096},), warps=8),),
)


def linear_cross_entropy(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float = 0.0,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """The sum of weighted losses, z-loss included, and the sum of weighted losses without it, which has no gradient.

    Both are scalars. Softmax, losses and sums over chunks are in at least fp32 whatever the dtypes. Factors of products
    are of the hidden states' dtype (on CUDA under autocast of autocast's), and so are their results, but that CUDA's
    are fp32: processors have no product that is wider than its factors.
    Rows of weight 0 are left out, whatever their hidden states and targets. Gradients are of first order only. Chunks
    always go in the same order.

    Args:
        chunk: rows computed at once; None takes what is fast.
        compiled: make one kernel of what is done to a chunk's logits by torch.compile, where Triton does not do it.
    """
    found: tuple[Tensor, Tensor] = OP.implementation(hidden_NW).linear_cross_entropy(
        hidden_NW, weight_VW, targets_N, weights_N, z_loss, chunk, compiled
    )
    return found


def rows_at_once(kind: str, vocabulary: int) -> int:
    """Rows of a chunk by default: a power of two, so that the chunks of a usual batch are of one size."""
    most = LOGITS.get(kind, LOGITS["cpu"]) // vocabulary
    return max(FEWEST_ROWS.get(kind, FEWEST_ROWS["cpu"]), 1 << max(0, most.bit_length() - 1))
