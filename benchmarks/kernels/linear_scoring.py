"""linear_scoring beside the logits of all rows at once; on a GPU with the peaks of memory.

python benchmarks/kernels/linear_scoring.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

import torch
from providers import ONE, PLAIN, compiled, every_dtype, implementations, normal, shapes, tell


def whole(hidden, weight, targets, entropies):
    """What is told of each row: log-likelihood, greedy match and entropy; logits in fp32, since those of bf16 tie."""
    logits = hidden.float() @ weight.float().t()
    logs = logits.log_softmax(1)
    return logs.gather(1, targets), logits.argmax(1, keepdim=True) == targets, -(logs.exp() * logs).sum(1)


@torch.no_grad()
def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked,
        small=(8, 16, 200), large=(8192, 4096, 128256), line=(256, 576, 49152), one=(1, 576, 49152),
        training=(1024, 128, 257),
    )  # fmt: skip
    for case, (rows, width, vocabulary) in kinds.items():
        if case == ONE and asked.dtype != torch.float32:
            continue  # most of it is to make the whole weight fp32, which the engine does once
        hidden, weight = normal(asked, rows, width), normal(asked, vocabulary, width)
        targets = torch.randint(0, vocabulary, (rows, 1), device=asked.device)

        def call(function, given=(hidden, weight, targets)):
            return function(*given, entropies=True)

        calls = implementations("linear_scoring", asked, lambda module, call=call: call(module.linear_scoring))
        calls[PLAIN] = lambda call=call: call(whole)
        calls |= compiled(asked, call, whole)
        shape = {"rows": rows, "width": width, "vocabulary": vocabulary}
        operations = 2 * rows * width * vocabulary
        tell("linear_scoring", "forward", shape, calls, asked, case=case, operations=operations)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
