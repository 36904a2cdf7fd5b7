"""A step of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) in place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_ARGUMENTS = {
    "parameter": "*T", "gradient": "*T", "mean": "*T", "square": "*T", "count": "i64", "kept": "fp32", "rate": "fp32",
    "beta1": "fp32", "beta2": "fp32", "correction": "fp32", "epsilon": "fp32",
}  # fmt: skip
OP = Op("adamw", (Signature(kernel="_step", arguments=_ARGUMENTS, constants=({"BLOCK": 1024},)),))


def adamw(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    *,
    step: int,
    rate: float,
    betas: tuple[float, float],
    epsilon: float,
    decay: float,
) -> None:
    """Change parameters p and the moments m and v of each, by gradients g, at the `step`, of which the first is 1.

    ``p <- (1 - rate decay) p``, ``m <- b1 m + (1 - b1) g``, ``v <- b2 v + (1 - b2) g^2``, then
    ``p <- p - rate m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon)``. The four of a parameter are of one
    shape, dtype and device, and computed with in fp32.
    """
    if parameters:
        OP.implementation(parameters[0]).adamw(
            parameters, gradients, means, squares, step=step, rate=rate, betas=betas, epsilon=epsilon, decay=decay
        )
