"""A step of adamw over the parameters of a few layers, beside torch's optimizer.

python benchmarks/kernels/adamw.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import implementations, normal, options, tell

RULE = {"rate": 1e-3, "betas": (0.9, 0.95), "epsilon": 1e-8, "decay": 0.1}


def main() -> None:
    asked = options(__doc__)
    size = 16 if asked.small else 4096 if asked.device == "cuda" else 576
    shapes = [(size, size), (4 * size, size), (size, 4 * size), (size,)] * 4
    parameters, gradients, means = ([normal(asked, *shape) for shape in shapes] for _ in range(3))
    squares = [part.square() for part in means]
    given = (parameters, gradients, means, squares)
    calls = implementations("adamw", asked, lambda module: module.adamw(*given, step=10, **RULE))
    for name, chosen in (("torch foreach", {"foreach": True}), ("torch fused", {"fused": True})):
        theirs = [part.clone().requires_grad_() for part in parameters]
        for part, gradient in zip(theirs, gradients, strict=True):
            part.grad = gradient
        optimizer = torch.optim.AdamW(theirs, lr=1e-3, betas=RULE["betas"], weight_decay=RULE["decay"], **chosen)
        calls[name] = optimizer.step
    count = sum(part.numel() for part in parameters)
    # Four are read, and three of them written.
    tell("adamw", "step", {"numbers": count}, calls, asked, bytes=7 * count * asked.dtype.itemsize)


if __name__ == "__main__":
    main()
