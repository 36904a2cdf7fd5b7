"""sample under top-k and top-p, with either and with neither.

python benchmarks/kernels/sampling.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse

import torch
from providers import PLAIN, every_dtype, implementations, normal, shapes, tell
from torch import Tensor


def plain(logits, temperature, top_k, top_p):
    """As generation loops write it: cuts by -inf, in this order, and a draw."""
    logits = logits.float() / temperature
    if top_k:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1:
        ranked, order = logits.sort(descending=True)
        before = ranked.softmax(1).cumsum(1) - ranked.softmax(1)
        cut = (before >= top_p).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(cut, -torch.inf)
    return torch.multinomial(logits.softmax(1), 1)[:, 0]


@torch.inference_mode()  # as the engine computes
def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(4, 100), large=(64, 128256), line=(16, 49152), one=(1, 49152))
    for case, (rows, vocabulary) in kinds.items():
        for top_k, top_p in ((0, 1.0), (50, 1.0), (0, 0.95), (50, 0.95)):
            compare(asked, case, normal(asked, rows, vocabulary), top_k, top_p)


def compare(asked: argparse.Namespace, case: str, logits: Tensor, top_k: int, top_p: float) -> None:
    rows, vocabulary = logits.shape

    def all_rows(value: float, dtype: torch.dtype) -> Tensor:
        return torch.full((rows,), value, dtype=dtype, device=asked.device)

    points = torch.rand(rows, device=asked.device, dtype=torch.float64)
    rules = (
        all_rows(0.8, torch.float32), all_rows(top_k, torch.int32), all_rows(top_p, torch.float64),
        all_rows(0.0, torch.float32),
    )  # fmt: skip
    calls = implementations("sampling", asked, lambda module: module.sample(logits, points, *rules))
    calls[PLAIN] = lambda: plain(logits, 0.8, top_k, top_p)
    shape = {"rows": rows, "vocabulary": vocabulary, "top_k": top_k, "top_p": top_p}
    tell("sampling", "forward", shape, calls, asked, case=case, bytes=logits.nbytes)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
