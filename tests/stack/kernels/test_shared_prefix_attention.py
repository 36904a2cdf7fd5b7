"""shared_prefix_attention: against float64, and `exact` bit by bit against what is not shared."""

from __future__ import annotations

import pytest
import torch
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.shared_prefix_attention import (
    Branch,
    Group,
    PrefixPlan,
    in_torch,
    shared_prefix_attention,
)
from evalharness.stack.kernels.shared_prefix_attention.in_torch import LARGE, partial_attention
from evalharness.stack.kernels.tiles import TILE

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])


def grouped(*groups):
    """A plan of groups of (start of the common path, its tiles, branches), a branch (rows, first position, column)."""
    made, row = [], 0
    for common, tiles, branches in groups:
        first, members = row, []
        for count, start, own in branches:
            width = start + count - tiles * TILE
            columns = slice(own, own + width + -width % TILE)
            members.append(Branch(row, count, start, columns, tiles * TILE))
            row += count
        made.append(Group(first, row - first, slice(common, common + tiles * TILE), tuple(members)))
    columns = max((branch.columns.stop for group in made for branch in group.branches), default=TILE)
    return PrefixPlan(made, columns, torch.device(DEVICE))


PLAN = grouped(
    (0, 0, [(9, 0, 0)]),  # the beginning of the path itself
    (0, 1, [(11, 70, 64), (1, 72, 128), (8, 64, 192)]),  # three that go on behind it
    (256, 2, [(3, 190, 384)]),  # another path
)


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


def attention(plan, window, exact, scale=0.4):
    return lambda *given: shared_prefix_attention(*given, plan, scale=scale, window=window, exact=exact)


def tensors(heads, groups, size=8, dtype=torch.float32):
    return (
        numbers(PLAN.rows, heads, size, dtype=dtype, seed=1),
        numbers(PLAN.columns, groups, size, dtype=dtype, seed=2),
        numbers(PLAN.columns, groups, size, dtype=dtype, seed=3),
    )


@IMPLEMENTATIONS
@pytest.mark.parametrize(("dtype", "window"), [*((dtype, None) for dtype in FLOATS), (torch.float32, 7)])
@pytest.mark.parametrize("exact", [False, True])
def test_paths_and_branches(implementation, dtype, window, exact):
    compare(attention(PLAN, window, exact), tensors(2, 1, dtype=dtype), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("exact", [False, True])
def test_memory_of_any_order_and_no_rows(implementation, exact):
    plan = grouped((0, 1, [(3, 70, 64)]))
    queries = numbers(3, 3, 20, seed=1).transpose(0, 1)
    keys, values = numbers(20, 128, 3, seed=2).permute(1, 2, 0), numbers(128, 3, 60, seed=3)[..., :20]
    compare(attention(plan, None, exact), (queries, keys, values), implementation)
    compare(attention(grouped(), None, exact), (queries[:0], keys, values), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("window", [None, 30])
def test_exact_has_the_bits_of_a_row_alone_whose_keys_lie_side_by_side(implementation, window):
    queries, keys, values = tensors(2, 1, size=16)
    with using(implementation):
        together = attention(PLAN, window, True)(queries, keys, values)
        for group in PLAN.groups:
            for branch in group.branches:
                path, own = (torch.arange(columns.start, columns.stop) for columns in (group.common, branch.columns))
                columns = torch.cat((path, own)).to(DEVICE)
                for number in (0, branch.count - 1):
                    alone = grouped((0, 0, [(1, branch.start + number, 0)]))
                    row = branch.row + number
                    found = attention(alone, window, True)(queries[row : row + 1], keys[columns], values[columns])
                    assert torch.equal(found[0], together[row])


# --------------------------------------------------------------------------- parts in torch

SMALL_PART, LARGE_PART = (24, 64), (768, 128)
"""Queries and keys: below the size from which whole products are used, and above it."""


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("count", "seen"), [SMALL_PART, LARGE_PART])
@pytest.mark.parametrize("amx", [False, True])
def test_a_part_equals_a_plain_softmax(
    amx: bool, count: int, seen: int, masked: bool, dtype: torch.dtype, within: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_torch, "has_amx", lambda: amx)
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
