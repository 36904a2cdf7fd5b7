"""Scores of `exact` on this processor: a query's bits, whatever queries and keys are beside it."""

from __future__ import annotations

import pytest
import torch

from evalharness.stack.kernels.tiles import grain_of, scores_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [16, 64, 80, 128, 168, 192, 240, 256])
def test_scores_of_whole_grains_do_not_depend_on_what_is_beside_them(size: int, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(size)
    queries, keys = (torch.randn(2, 512, size, generator=random).to(dtype) for _ in range(2))
    grain = grain_of(size)
    together = scores_of(queries, keys)
    assert together.dtype == torch.float32
    for count in (grain, 3 * grain, 6 * grain, 8 * grain):
        for seen in (64, 128, 320, 512):
            found = scores_of(queries[:, :count], keys[:, :seen])
            assert torch.equal(found, together[:, :count, :seen]), (count, seen)
