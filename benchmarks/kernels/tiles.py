"""Tiles of the Triton kernels that multiply most, tried in turns on the GPU that is here: are the tables' the fastest?

    python benchmarks/kernels/tiles.py [--rounds 9] [--seconds 60]

Prints a line of JSON for each kernel and shape, with the milliseconds of each choice, the table's first; what does not
fit the GPU is left out and named. The tables (`HALVES` of flash_attention, `TILES` of linear_scoring) are changed by
hand. Without a GPU, Triton's interpreter tries two choices on tiny shapes, which shows that this runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from interleaved import device_name, medians
from torch import Tensor

from evalharness.stack.kernels.flash_attention import Blocks, blocks, causal
from evalharness.stack.kernels.flash_attention import in_triton as flash
from evalharness.stack.kernels.launching import target_of
from evalharness.stack.kernels.linear_scoring import Tile
from evalharness.stack.kernels.linear_scoring import in_triton as scoring

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPE = torch.bfloat16 if GPU else torch.float32


class Trial(NamedTuple):
    """A kernel, the tiles that its table has for a shape, others, and how it is computed with some."""

    name: str
    table: NamedTuple
    others: list[Any]
    compute: Callable[[Any], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=60, help="after which no other choice is compiled")
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    for trial in (*attention(), *likelihoods()):
        choices = list(dict.fromkeys((trial.table, *trial.others)))[: None if GPU else 2]
        fitting, left_out = {}, {}
        for choice in choices:
            if fitting and time.monotonic() > until:
                left_out[str(tuple(choice))] = "no time was left"
                continue
            try:
                trial.compute(choice)
                fitting[str(tuple(choice))] = lambda trial=trial, choice=choice: trial.compute(choice)
            except Exception as error:  # whatever a compiler or driver says of a tile
                left_out[str(tuple(choice))] = f"{type(error).__name__}: {error}"[:120]
        tell(trial.name, medians(fitting, DEVICE, asked.rounds if GPU else 1), left_out)


def tell(name: str, seconds: Mapping[str, float], left_out: Mapping[str, str]) -> None:
    told = {choice: round(1e3 * taken, 4) for choice, taken in seconds.items()}
    first = next(iter(told), None)
    print(
        json.dumps(
            {
                "kernel": name, "device": device_name(DEVICE), "milliseconds": told, "left_out": left_out,
                "fastest": min(told, key=lambda choice: told[choice], default=None),
                "table_by_fastest": None if first is None else round(told[first] / min(told.values()), 3),
            }
        ),
        flush=True,
    )  # fmt: skip


def attention() -> Iterator[Trial]:
    """Both passes at 4,096 tokens, of one kernel's tiles at a time."""
    for size in (64, 128):
        count, heads = (4096, 16) if GPU else (32, 1)
        given = [normal(1, count, heads, size) for _ in range(3)]
        intervals, gradient = causal(count, count, device=DEVICE), normal(1, count, heads, size)
        mixed, sums = flash._run_forward(*given, intervals, size**-0.5, None)

        def forward(given: list[Tensor] = given, size: int = size, intervals: Any = intervals) -> object:
            return flash._run_forward(*given, intervals, size**-0.5, None)

        def backward(
            given: list[Tensor] = given, size: int = size, intervals: Any = intervals, mixed: Tensor = mixed,
            sums: Tensor = sums, gradient: Tensor = gradient,
        ) -> object:  # fmt: skip
            return flash._run_backward(*given, mixed, sums, gradient, intervals, size**-0.5, None)

        for kernel in ("forward", "keys", "queries"):
            others = [
                Blocks(own, rest, warps, stages, ahead)
                for own, rest, warps, stages in product((64, 128), (32, 64, 128), (4, 8), (2, 3))
                for ahead in ((False, True) if kernel == "forward" else (False,))
            ]
            compute = forward if kernel == "forward" else backward
            table = blocks(kernel, target_of(given[0]), size, wide=not GPU)
            yield Trial(f"flash_attention, {kernel}, head {size}", table, others, with_blocks(kernel, compute))


def with_blocks(kernel: str, compute: Callable[[], object]) -> Callable[[Any], object]:
    def of(choice: Blocks) -> object:
        def chosen(asked: str, target: str, size: int, *, wide: bool) -> Blocks:
            return choice if asked == kernel else blocks(asked, target, size, wide=wide)

        with patch.object(flash, "blocks", chosen):
            return compute()

    return of


def likelihoods() -> Iterator[Trial]:
    for rows in (16, 64, 4096) if GPU else (16,):
        width, vocabulary = (4096, 128256) if GPU else (32, 96)
        hidden, head = normal(rows, width), normal(vocabulary, width)
        targets = torch.zeros(rows, 1, dtype=torch.long, device=DEVICE)
        held = min(rows, 128)
        others = [
            Tile(held, tokens, inputs, warps, stages)
            for tokens, inputs, warps, stages in product((128, 256), (32, 64, 128), (4, 8), (3, 4))
        ]

        def compute(choice: Tile, hidden: Tensor = hidden, head: Tensor = head, targets: Tensor = targets) -> object:
            with patch.object(scoring, "_tile_for", lambda *_: choice):
                return scoring.linear_scoring(hidden, head, targets)

        table = scoring._tile_for(hidden, head)
        yield Trial(f"linear_scoring, {rows} rows", table, others, compute)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, device=DEVICE).to(DTYPE)


if __name__ == "__main__":
    main()
