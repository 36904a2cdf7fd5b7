"""cross_entropy of logits that are there, forward and with its backward pass.

python benchmarks/kernels/cross_entropy.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import both_passes, compiled, implementations, normal, options, tell

from evalharness.stack.kernels.cross_entropy import reference


def main() -> None:
    asked = options(__doc__)
    rows, vocabulary = (8, 100) if asked.small else (4096, 128256) if asked.device == "cuda" else (256, 49152)
    logits = normal(asked, rows, vocabulary, gradient=True)
    targets = torch.randint(0, vocabulary, (rows,), device=asked.device)

    def forward(function):
        return function(logits, targets)

    def both(function):
        return both_passes(forward(function), logits)

    for passes, call, times in (("forward", forward, 1), ("both", both, 3)):
        calls = implementations("cross_entropy", asked, lambda module, call=call: call(module.cross_entropy))
        calls |= compiled(asked, call, reference.cross_entropy)
        tell(
            "cross_entropy", passes, {"rows": rows, "vocabulary": vocabulary}, calls, asked, bytes=times * logits.nbytes
        )


if __name__ == "__main__":
    main()
