"""linear_cross_entropy with its gradients, beside the logits of all rows at once; on a GPU with the peaks of memory.

python benchmarks/kernels/linear_cross_entropy.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

import torch
from providers import PLAIN, compiled, every_dtype, implementations, liger, normal, shapes, tell
from torch.nn import functional as F


def whole(hidden, weight, targets):
    return F.cross_entropy(F.linear(hidden, weight).float(), targets, reduction="sum")


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked, small=(8, 16, 100), large=(8192, 4096, 128256), line=(256, 576, 49152), training=(4096, 128, 257)
    )
    for case, (rows, width, vocabulary) in kinds.items():
        hidden = normal(asked, rows, width, gradient=True)
        # Logits of a model: with larger ones most probabilities would be denormal, with which some processors' products
        # take a hundred times as long.
        weight = (normal(asked, vocabulary, width) * width**-0.5).requires_grad_()
        targets = torch.randint(0, vocabulary, (rows,), device=asked.device)
        weights = torch.ones(rows, device=asked.device)

        def ours(module, hidden=hidden, weight=weight, targets=targets, weights=weights):
            total, _ = module.linear_cross_entropy(hidden, weight, targets, weights, 0.0, None, False)
            return torch.autograd.grad(total, (hidden, weight))

        def plain(function, hidden=hidden, weight=weight, targets=targets):
            return torch.autograd.grad(function(hidden, weight, targets), (hidden, weight))

        def theirs(module, hidden=hidden, weight=weight, targets=targets):
            function = module.LigerFusedLinearCrossEntropyFunction.apply
            found = function(hidden, weight, targets, None, None, -100, 0.0, 0.0, "sum")
            return torch.autograd.grad(found[0] if isinstance(found, tuple) else found, (hidden, weight))

        calls = implementations("linear_cross_entropy", asked, ours)
        calls[PLAIN] = lambda plain=plain: plain(whole)
        calls |= compiled(asked, plain, whole)
        calls |= liger(asked, "fused_linear_cross_entropy", theirs)
        shape = {"rows": rows, "width": width, "vocabulary": vocabulary}
        operations = 6 * rows * width * vocabulary
        tell("linear_cross_entropy", "both", shape, calls, asked, case=case, operations=operations)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
