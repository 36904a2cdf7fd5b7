"""linear_cross_entropy with its gradients, beside the logits of all rows at once; on a GPU with the peaks of memory.

python benchmarks/kernels/linear_cross_entropy.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import compiled, implementations, liger, normal, options, tell
from torch.nn import functional as F


def main() -> None:
    asked = options(__doc__)
    on_gpu = asked.device == "cuda"
    rows, width, vocabulary = (8, 16, 100) if asked.small else (8192, 4096, 128256) if on_gpu else (1024, 256, 8192)
    hidden, weight = normal(asked, rows, width, gradient=True), normal(asked, vocabulary, width, gradient=True)
    targets = torch.randint(0, vocabulary, (rows,), device=asked.device)
    weights = torch.ones(rows, device=asked.device)

    def ours(module):
        total, _ = module.linear_cross_entropy(hidden, weight, targets, weights, 0.0, None, False)
        return torch.autograd.grad(total, (hidden, weight))

    def plain(function):
        return torch.autograd.grad(function(hidden, weight, targets), (hidden, weight))

    def whole(hidden, weight, targets):
        return F.cross_entropy(F.linear(hidden, weight).float(), targets, reduction="sum")

    def theirs(module):
        function = module.LigerFusedLinearCrossEntropyFunction.apply
        found = function(hidden, weight, targets, None, None, -100, 0.0, 0.0, "sum")
        return torch.autograd.grad(found[0] if isinstance(found, tuple) else found, (hidden, weight))

    calls = implementations("linear_cross_entropy", asked, ours) | {"plain": lambda: plain(whole)}
    calls |= compiled(asked, plain, whole)
    calls |= liger(asked, "fused_linear_cross_entropy", theirs)
    shape = {"rows": rows, "width": width, "vocabulary": vocabulary}
    tell("linear_cross_entropy", "both", shape, calls, asked, operations=6 * rows * width * vocabulary)


if __name__ == "__main__":
    main()
