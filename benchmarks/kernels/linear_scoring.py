"""linear_scoring beside the logits of all rows at once; on a GPU with the peaks of memory.

python benchmarks/kernels/linear_scoring.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import compiled, implementations, normal, options, tell

from evalharness.stack.kernels.linear_scoring import reference


@torch.no_grad()
def main() -> None:
    asked = options(__doc__)
    on_gpu = asked.device == "cuda"
    rows, width, vocabulary = (8, 16, 200) if asked.small else (8192, 4096, 128256) if on_gpu else (1024, 576, 49152)
    hidden, weight = normal(asked, rows, width), normal(asked, vocabulary, width)
    targets = torch.randint(0, vocabulary, (rows,), device=asked.device)

    def call(function):
        return function(hidden, weight, targets)

    def whole(hidden, weight, targets):
        logits = (hidden @ weight.t()).float()
        logs = logits.log_softmax(1)
        entropies = -(logs.exp() * logs).sum(1)
        return logs.gather(1, targets[:, None])[:, 0], logits.argmax(1) == targets, entropies

    calls = implementations("linear_scoring", asked, lambda module: call(module.linear_scoring))
    calls |= {"plain": lambda: call(whole), "reference": lambda: call(reference.linear_scoring)}
    calls |= compiled(asked, call, whole)
    shape = {"rows": rows, "width": width, "vocabulary": vocabulary}
    tell("linear_scoring", "forward", shape, calls, asked, operations=2 * rows * width * vocabulary)


if __name__ == "__main__":
    main()
