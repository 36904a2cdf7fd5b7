"""Draws tokens: top-k (Fan et al. 2018, arXiv:1805.04833), top-p (Holtzman et al. 2019, arXiv:1904.09751), min-p
(Nguyen et al. 2024, arXiv:2407.01082). Letters: R rows, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_ARGUMENTS = {
    "logits": "*T", "points": "*fp64", "temperatures": "*fp32", "top_k": "*i32", "top_p": "*fp64", "min_p": "*fp32",
    "weights": "*fp32", "drawn": "*i64", "vocabulary": "i32", "stride": "i64",
}  # fmt: skip
OP = Op(
    "sampling",
    (Signature(kernel="_draw", arguments=_ARGUMENTS, constants=({"BLOCK": 4096},), warps=8),),
    row_wise=True,
)


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    """One id a row, [R]: where `points_R` in [0, 1) falls in what the tokens that are kept cumulate to.

    Of ``p = softmax(l / temperature)``, top-k keeps the k likeliest (0 keeps all), top-p of these the fewest that
    reach the share p of their sum (1 keeps all), min-p those of at least so much times the likeliest, which is always
    kept. The tokens of a row that something cuts cumulate by falling probability, of a row that nothing cuts by their
    ids. At temperature 0 the likeliest is drawn, of equals the first. Which of equally likely tokens come first in
    order of probability is left open.

    Args:
        points_R: fp64, as is `top_p_R`; `temperatures_R` and `min_p_R` are fp32.
    """
    found: Tensor = OP.implementation(logits_RV).sample(logits_RV, points_R, temperatures_R, top_k_R, top_p_R, min_p_R)
    return found
