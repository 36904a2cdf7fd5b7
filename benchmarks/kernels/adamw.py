"""A step of adamw over the parameters of a few layers, beside torch's fused optimizer.

python benchmarks/kernels/adamw.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

import torch
from providers import PLAIN, every_dtype, implementations, normal, shapes, tell

RULE = {"rate": 1e-3, "betas": (0.9, 0.95), "epsilon": 1e-8, "decay": 0.1}


def blocks(layers: int, width: int, inner: int, heads: float = 1.0) -> list[tuple[int, ...]]:
    """Shapes of the parameters of some blocks; `heads`: those of keys by those of queries."""
    qkv = width + 2 * round(width * heads)
    return [(qkv, width), (width, width), (2 * inner, width), (width, inner), (width,), (width,)] * layers


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked,
        small=blocks(1, 16, 32), large=blocks(4, 4096, 14336, 1 / 4), line=blocks(2, 576, 1536, 1 / 3),
        training=blocks(2, 128, 320),
    )  # fmt: skip
    for case, shapes_of in kinds.items():
        parameters, gradients, means = ([normal(asked, *shape) for shape in shapes_of] for _ in range(3))
        squares = [part.square() for part in means]
        given = (parameters, gradients, means, squares)
        calls = implementations("adamw", asked, lambda module, given=given: module.adamw(*given, step=10, **RULE))
        for name, chosen in ((PLAIN, {"fused": True}), ("torch foreach", {"foreach": True})):
            theirs = [part.clone().requires_grad_() for part in parameters]
            for part, gradient in zip(theirs, gradients, strict=True):
                part.grad = gradient
            optimizer = torch.optim.AdamW(theirs, lr=1e-3, betas=RULE["betas"], weight_decay=RULE["decay"], **chosen)
            calls[name] = optimizer.step
        count = sum(part.numel() for part in parameters)
        # Four are read, and three of them written.
        moved = 7 * count * asked.dtype.itemsize
        tell("adamw", "step", {"numbers": count, "tensors": len(parameters)}, calls, asked, case=case, bytes=moved)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
