"""Attention of a training to long sequences: torch's by a mask of T x T, and ours by intervals, on a processor.

    python benchmarks/training/attention.py [--threads 2] [--rounds 5] [--small]

For each case the milliseconds of a forward and a backward pass of one layer of two sequences, mask and intervals
included (the lower quartile of the rounds, in which the two take turns), and how often ours goes into torch's. Prints
one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable

import torch
from products import quartiles
from torch import Tensor

from evalharness.stack.training.attention import BatchAttention

CASES = {
    "documents of 20": (1024, 20, None, False),
    "documents of 200": (1024, 200, None, False),
    "documents of 1,000": (2048, 1000, None, False),
    "documents of 200 whose first half is a prefix": (1024, 200, None, True),
    "window of 128": (1024, None, 128, False),
    "documents of 300, window of 256": (2048, 300, 256, False),
}
"""Tokens, mean length of a document, window, prefixes."""
SEQUENCES, HEADS, GROUPS, SIZE = 2, 4, 2, 64


def documents(length: int, mean: int) -> Tensor:
    random = torch.Generator().manual_seed(length + mean)
    return (torch.rand(SEQUENCES, length, generator=random) < 1 / mean).cumsum(1).int()


def prefixes(documents_BT: Tensor) -> Tensor:
    """The first half of each document."""
    same_BTT = documents_BT[:, :, None] == documents_BT[:, None, :]
    return same_BTT.tril(-1).sum(-1) < same_BTT.sum(-1) // 2


def measured(case: tuple[int, int | None, int | None, bool], dtype: torch.dtype, rounds: int) -> dict[str, float]:
    length, mean, window, prefixed = case
    documents_BT = None if mean is None else documents(length, mean)
    prefix_BT = prefixes(documents_BT) if prefixed and documents_BT is not None else None
    random = torch.Generator().manual_seed(1)
    queries, keys, values = (
        torch.randn(SEQUENCES, length, count, SIZE, generator=random).to(dtype).requires_grad_()
        for count in (HEADS, GROUPS, GROUPS)
    )
    towards = torch.randn(queries.shape, generator=random).to(dtype)

    def passes(*, masks: bool) -> Callable[[], object]:
        def work() -> object:
            context = BatchAttention(documents_BT, prefix_BT, masks=masks)
            mixed = context.attend(0, queries, keys, values, scale=SIZE**-0.5, window=window)
            return torch.autograd.grad(mixed, (queries, keys, values), towards)

        return work

    took = quartiles({"torch": passes(masks=True), "ours": passes(masks=False)}, rounds)
    return {**{name: round(value, 1) for name, value in took.items()}, "ratio": round(took["torch"] / took["ours"], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="the first case alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = dict(list(CASES.items())[: 1 if options.small else None])
    found = {
        f"{name}, {str(dtype).removeprefix('torch.')}": measured(case, dtype, options.rounds)
        for dtype in (torch.float32, torch.bfloat16)
        for name, case in cases.items()
    }
    print(json.dumps({"torch": torch.__version__, "threads": options.threads, **found}))


if __name__ == "__main__":
    main()
