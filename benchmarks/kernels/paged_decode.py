"""Attention of the new token of each text to its pages, beside torch's own over the same keys side by side.

store_kv comes with it, beside an assignment by index. A line of SmolLM2 is 64 texts of 700 tokens; in the second such
line half of the tokens are a path that all share, which the plain call reads once for each text.

python benchmarks/kernels/paged_decode.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from providers import PLAIN, every_dtype, implementations, normal, shapes, tell
from torch.nn.functional import scaled_dot_product_attention

from evalharness.stack.kernels.paged_decode import PagePlan
from evalharness.stack.kernels.tiles import TILE


@dataclass
class Path:
    pages: list[int]


@dataclass
class Text:
    path: Path | None
    shared: int
    length: int
    tiles: list[int]


def side_by_side(cache, pages):
    """Keys and values of some pages, [2, G, S, D]."""
    return cache[:, torch.tensor(pages, device=cache.device)].transpose(2, 3).transpose(1, 2).flatten(2, 3)


@torch.inference_mode()  # as the engine computes
def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked, small=(2, 100, 4, 2, 16), large=(32, 4096, 32, 8, 128), line=(64, 700, 9, 3, 64), one=(1, 700, 9, 3, 64)
    )
    for case, (count, length, heads, groups, size) in kinds.items():
        pages = -(-length // TILE)
        # As the engine lays it out: heads before positions in memory.
        cache = normal(asked, 2, count * pages + pages + 1, groups, TILE, size).transpose(2, 3)
        queries, keys, values = (normal(asked, count, each, size) for each in (heads, groups, groups))
        for shared in (0, pages // 2) if count > 1 else (0,):
            path = Path(list(range(1, shared + 1))) if shared else None
            own = pages - shared
            texts = [
                Text(path, shared * TILE, length - 1, list(range(begin, begin + own)))
                for begin in range(shared + 1, shared + 1 + count * own, own)
            ]
            plan = PagePlan(texts, [1] * count, TILE, torch.device(asked.device))
            paths = [side_by_side(cache, path.pages)] if path else []
            whole = torch.stack(
                [side_by_side(cache, [*(path.pages if path else []), *text.tiles])[:, :, :length] for text in texts], 1
            )

            def attend(module, plan=plan, paths=paths, cache=cache, queries=queries, size=size):
                return module.paged_decode(queries, cache, plan, scale=size**-0.5, paths=paths)

            def plain(whole=whole, queries=queries, size=size):
                return scaled_dot_product_attention(
                    queries[:, :, None], whole[0], whole[1], scale=size**-0.5, enable_gqa=True
                )

            shape = {"texts": count, "length": length, "shared": shared * TILE, "heads": [heads, groups], "size": size}
            read = (shared + count * own) * TILE * 2 * groups * size * asked.dtype.itemsize
            calls = implementations("paged_decode", asked, attend) | {PLAIN: plain}
            tell("paged_decode", "forward", shape, calls, asked, case=case, bytes=read)

        def store(module, plan=plan, cache=cache, keys=keys, values=values):
            module.store_kv(keys, values, cache, *plan.into)

        def assign(plan=plan, cache=cache, keys=keys, values=values):
            into, offsets = plan.into
            cache[0][into, offsets] = keys
            cache[1][into, offsets] = values

        shape = {"tokens": count, "heads": groups, "size": size}
        calls = implementations("store_kv", asked, store) | {PLAIN: assign}
        tell("store_kv", "forward", shape, calls, asked, case=case, bytes=2 * keys.nbytes + 2 * values.nbytes)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
