"""shared_prefix_attention: against float64, and `exact` bit by bit against what is not shared."""

from __future__ import annotations

import pytest
import torch
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.shared_prefix_attention import Branch, PrefixPlan, shared_prefix_attention

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])
BRANCHES = (
    Branch(count=9, start=0, path=0, shared=0, own=0),  # the beginning of the path itself
    Branch(count=20, start=70, path=0, shared=70, own=100),
    Branch(count=1, start=72, path=0, shared=70, own=130),  # one of three tokens behind the path
    Branch(count=18, start=70, path=0, shared=70, own=140),
    Branch(count=3, start=12, path=180, shared=5, own=190),  # another path
)
COLUMNS = 230
ROWS = sum(branch.count for branch in BRANCHES)


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


def attention(plan, window, exact, scale=0.4):
    return lambda *given: shared_prefix_attention(*given, plan, scale=scale, window=window, exact=exact)


def tensors(heads, groups, size=8, dtype=torch.float32):
    return (
        numbers(ROWS, heads, size, dtype=dtype, seed=1),
        numbers(COLUMNS, groups, size, dtype=dtype, seed=2),
        numbers(COLUMNS, groups, size, dtype=dtype, seed=3),
    )


@IMPLEMENTATIONS
@pytest.mark.parametrize(("dtype", "window"), [*((dtype, None) for dtype in FLOATS), (torch.float32, 7)])
@pytest.mark.parametrize("exact", [False, True])
def test_paths_and_branches(implementation, dtype, window, exact):
    plan = PrefixPlan(BRANCHES, COLUMNS, torch.device(DEVICE))
    compare(attention(plan, window, exact), tensors(2, 1, dtype=dtype), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("exact", [False, True])
def test_memory_of_any_order_and_no_rows(implementation, exact):
    plan = PrefixPlan(BRANCHES[-1:], COLUMNS, torch.device(DEVICE))
    queries = numbers(3, 3, 20, seed=1).transpose(0, 1)
    keys, values = numbers(20, COLUMNS, 3, seed=2).permute(1, 2, 0), numbers(COLUMNS, 3, 60, seed=3)[..., :20]
    compare(attention(plan, None, exact), (queries, keys, values), implementation)
    none = PrefixPlan((), COLUMNS, torch.device(DEVICE))
    compare(attention(none, None, exact), (queries[:0], keys, values), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("window", [None, 30])
def test_exact_has_the_bits_of_a_row_alone_whose_keys_lie_side_by_side(implementation, window):
    queries, keys, values = tensors(2, 1, size=16)
    plan = PrefixPlan(BRANCHES, COLUMNS, torch.device(DEVICE))
    with using(implementation):
        together = attention(plan, window, True)(queries, keys, values)
        row = 0
        for branch in BRANCHES:
            path = torch.arange(branch.path, branch.path + branch.shared)
            own = torch.arange(branch.own, branch.own + branch.start + branch.count - branch.shared)
            columns = torch.cat((path, own)).to(DEVICE)
            for number in (0, branch.count - 1):
                position = branch.start + number
                alone = PrefixPlan((Branch(1, position, 0, 0, 0),), len(columns), torch.device(DEVICE))
                found = attention(alone, window, True)(
                    queries[row + number : row + number + 1], keys[columns], values[columns]
                )
                assert torch.equal(found[0], together[row + number])
            row += branch.count
