"""Parts of attention beside a plain softmax in fp64, in each of the ways that they are computed."""

from __future__ import annotations

import pytest
import torch

from evalharness.stack.engine.attention import LARGE, partial_attention

SMALL_PART, LARGE_PART = (24, 64), (768, 128)
"""Queries and keys: below the size from which whole products are used, and above it."""


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("count", "seen"), [SMALL_PART, LARGE_PART])
def test_a_part_equals_a_plain_softmax(count: int, seen: int, masked: bool, dtype: torch.dtype, within: float) -> None:
    random = torch.Generator().manual_seed(count)
    queries, keys, values = (torch.randn(3, length, 64, generator=random).to(dtype) for length in (count, seen, seen))
    bias = torch.zeros(count, seen, dtype=dtype)
    if masked:
        rows = torch.arange(count)[:, None] * seen // count
        bias.masked_fill_(torch.arange(seen)[None] > rows, -torch.inf)
    mixed, sums = partial_attention(queries, keys, values, bias if masked else None)
    scores = queries.double() @ keys.double().transpose(1, 2) + bias.double()
    expected = scores.softmax(-1) @ values.double()
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.double(), expected, atol=within, rtol=within)
    torch.testing.assert_close(sums.double(), scores.logsumexp(-1), atol=1e-3, rtol=1e-5)


def test_the_sizes_lie_on_both_sides() -> None:
    assert SMALL_PART[0] * SMALL_PART[1] < LARGE <= LARGE_PART[0] * LARGE_PART[1]
