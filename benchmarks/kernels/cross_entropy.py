"""cross_entropy of logits that are there, forward and with its backward pass.

python benchmarks/kernels/cross_entropy.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

import torch
from providers import PLAIN, both_passes, compiled, every_dtype, implementations, liger, normal, shapes, tell
from torch.nn import functional as F

from evalharness.stack.kernels.cross_entropy import reference


def plain(logits, targets):
    return F.cross_entropy(logits.float(), targets, reduction="none")


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(8, 100), large=(4096, 128256), line=(128, 49152), training=(4096, 257))
    for case, (rows, vocabulary) in kinds.items():
        logits = normal(asked, rows, vocabulary, gradient=True)
        targets = torch.randint(0, vocabulary, (rows,), device=asked.device)

        def forward(function, logits=logits, targets=targets):
            return function(logits, targets)

        def both(function, logits=logits, targets=targets):
            return both_passes(function(logits, targets), logits)

        # Logits of its own, as it writes the gradient over them.
        own = normal(asked, rows, vocabulary, gradient=True) if asked.device == "cuda" else logits

        def theirs(module, logits=own, targets=targets):
            found = module.LigerCrossEntropyFunction.apply(logits, targets, None, -100, 0.0, 0.0, "sum", None, False)
            return torch.autograd.grad(found[0] if isinstance(found, tuple) else found, logits)

        for passes, call, times in (("forward", forward, 1), ("both", both, 3)):
            calls = implementations("cross_entropy", asked, lambda module, call=call: call(module.cross_entropy))
            calls[PLAIN] = lambda call=call: call(plain)
            calls |= compiled(asked, call, reference.cross_entropy)
            calls |= liger(asked, "cross_entropy", theirs) if passes == "both" else {}
            shape = {"rows": rows, "vocabulary": vocabulary}
            tell("cross_entropy", passes, shape, calls, asked, case=case, bytes=times * logits.nbytes)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
