"""Texts with pages of their own and paths that some of them share, and a cache that holds them, for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from stack.kernels.ladder import DEVICE, normal
from torch import Tensor

from evalharness.stack.kernels.paged_decode import PagePlan, paged_decode


@dataclass
class Path:
    pages: list[int]


@dataclass
class Text:
    path: Path | None
    shared: int
    length: int
    tiles: list[int] = field(default_factory=list)


def texts_of(
    lengths: Sequence[int], new: Sequence[int], page: int, paths: Sequence[int | None] = (), seed: int = 3
) -> tuple[list[Text], int]:
    """Texts of so many kept tokens, each with the number of pages of its path (neighbours with the same share it), and
    the pages of the cache; pages are in any order, and page 0 is nobody's."""
    made: list[Text] = []
    for number, (length, count) in enumerate(zip(lengths, new, strict=True)):
        pages = paths[number] if paths else None
        before = made[-1].path if made else None
        path = None if pages is None else before
        if pages is not None and (path is None or len(path.pages) != pages):
            path = Path([0] * pages)
        shared = 0 if pages is None else pages * page
        made.append(Text(path, shared, length + shared, [0] * -(-(length + count) // page)))
    owners = list({id(text.path): text.path.pages for text in made if text.path is not None}.values())
    owners += [text.tiles for text in made]
    total = sum(map(len, owners)) + 1
    order = iter(torch.randperm(total - 1, generator=torch.Generator().manual_seed(seed)).add(1).tolist())
    for pages in owners:
        pages[:] = [next(order) for _ in pages]
    return made, total


def plan_of(texts: Sequence[Text], new: Sequence[int], page: int) -> PagePlan:
    return PagePlan(texts, new, page, torch.device(DEVICE))  # type: ignore[arg-type]


def cache_of(pages: int, page: int, groups: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """As the engine lays it out: [2, P, S, G, D], heads before positions in memory."""
    return normal(2, pages, groups, page, size, dtype=dtype, seed=2, gradient=False).transpose(2, 3)


def attention(plan: PagePlan, window: int | None = None, exact: bool = False, scale: float = 0.3):  # type: ignore[no-untyped-def]
    """Of queries and a cache; the paths are handed in both ways."""

    def compute(queries: Tensor, cache: Tensor) -> Tensor:
        paths = [
            cache[:, torch.tensor(path.pages, device=cache.device)].flatten(1, 2).transpose(1, 2).contiguous()
            for path, *_ in plan.groups
        ]
        return paged_decode(queries, cache, plan, scale=scale, window=window, exact=exact, paths=paths)

    return compute
