"""Attention of a line of rows behind a path that they share, beside torch's own of all branches with copies of it.

A line of SmolLM2 is 32 branches of 32 tokens behind 640: the questions of a task behind its demonstrations. The copies
are timed, as each layer makes them anew. `exact` is measured beside the same plain call.

python benchmarks/kernels/shared_prefix_attention.py [--device cuda] [--dtype float32 ...] [--rounds 25]
"""

from __future__ import annotations

import argparse

import torch
from providers import PLAIN, every_dtype, implementations, normal, shapes, tell
from torch.nn.functional import scaled_dot_product_attention

from evalharness.stack.engine.line import GROUP_ROWS
from evalharness.stack.kernels.shared_prefix_attention import Branch, Group, PrefixPlan
from evalharness.stack.kernels.tiles import TILE


def plan_of(branches: int, rows: int, path: int, device: str) -> PrefixPlan:
    """Groups of as many rows as the engine's."""
    width = rows + -rows % TILE
    members = [
        Branch(number * rows, rows, path, slice(path + number * width, path + (number + 1) * width), path)
        for number in range(branches)
    ]
    most = max(1, GROUP_ROWS // rows)
    groups = [
        Group(
            begin * rows,
            len(members[begin : begin + most]) * rows,
            slice(0, path),
            tuple(members[begin : begin + most]),
        )
        for begin in range(0, branches, most)
    ]
    return PrefixPlan(groups, path + branches * width, torch.device(device))


@torch.inference_mode()  # as the engine computes
def main(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=(2, 3, 64, 4, 2, 16), large=(64, 64, 2048, 32, 8, 128), line=(32, 32, 640, 9, 3, 64))
    for case, (branches, rows, path, heads, groups, size) in kinds.items():
        plan = plan_of(branches, rows, path, asked.device)
        queries = normal(asked, branches * rows, heads, size)
        # As the engine lays them out: heads before columns in memory.
        keys, values = normal(asked, 2, groups, plan.columns, size).transpose(1, 2)
        columns = torch.tensor(
            [
                [*range(path), *range(branch.columns.start, branch.columns.start + rows)]
                for group in plan.groups
                for branch in group.branches
            ],
            device=asked.device,
        )
        seen = torch.arange(path + rows, device=asked.device) <= torch.arange(rows, device=asked.device)[:, None] + path

        def plain(
            queries=queries, kept=(keys, values), columns=columns, seen=seen, shape=(branches, rows, heads, size)
        ):
            whole = [x[columns].transpose(1, 2) for x in kept]
            apart = queries.view(shape).transpose(1, 2)
            return scaled_dot_product_attention(apart, *whole, attn_mask=seen, enable_gqa=True)

        for exact in (False, True):

            def attend(module, exact=exact, plan=plan, given=(queries, keys, values), size=size):
                return module.shared_prefix_attention(*given, plan, scale=size**-0.5, exact=exact)

            shape = {"branches": branches, "rows": rows, "shared": path, "heads": [heads, groups], "size": size}
            calls = implementations("shared_prefix_attention", asked, attend) | {PLAIN: plain}
            operations = 4 * branches * rows * heads * size * (path + (rows + 1) / 2)
            name = "shared_prefix_attention, exact" if exact else "shared_prefix_attention"
            tell(name, "forward", shape, calls, asked, case=case, operations=operations)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
