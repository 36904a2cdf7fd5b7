"""paged_decode and store_kv: every implementation against float64, and `exact` bit by bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal
from stack.kernels.paged_texts import Text, attention, cache_of, plan_of, texts_of

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.paged_decode import plan as plans
from evalharness.stack.kernels.shared_prefix_attention import Branch, Group, PrefixPlan, shared_prefix_attention
from evalharness.stack.kernels.store_kv import store_kv
from evalharness.stack.kernels.tiles import TILE

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


@IMPLEMENTATIONS
@settings(max_examples=6, derandomize=True, deadline=None)
@given(
    texts=st.lists(
        st.tuples(st.integers(0, 48), st.integers(1, 3), st.sampled_from((None, 1, 2))), min_size=1, max_size=3
    ),
    heads=st.sampled_from(((1, 1), (6, 2), (3, 3))),
    size=st.sampled_from((1, 8, 20)),
    window=st.sampled_from((None, 1, 21)),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, texts, heads, size, window, dtype):
    lengths, new, paths = zip(*texts, strict=True)
    made, pages = texts_of(lengths, new, 16, paths)
    plan = plan_of(made, new, 16)
    queries = numbers(plan.rows, heads[0], size, dtype=dtype, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "SPLIT", 32)
        compare(attention(plan, window), (queries, cache_of(pages, 16, heads[1], size, dtype)), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("exact", [False, True])
def test_whole_tiles_and_memory_of_any_order(implementation, exact):
    made, pages = texts_of([70, 3, 100], [1, 2, 2], TILE, [1, 1, None])
    plan = plan_of(made, [1, 2, 2], TILE)
    queries = numbers(4, plan.rows, 3 * 8, seed=1).transpose(0, 1)[..., 8:16]
    compare(attention(plan, 90, exact), (queries, numbers(2, pages, TILE, 2, 8, seed=2)), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("window", [None, 40])
def test_exact_has_the_bits_of_a_row_that_is_read_alone(implementation, window):
    """Whatever texts are beside it, whatever is shared, and whether it was drawn or read."""
    new = [1, 3, 2, 1]
    made, pages = texts_of([90, 33, 5, 140], new, TILE, [2, 2, None, 1])
    plan = plan_of(made, new, TILE)
    cache, queries = cache_of(pages, TILE, 2, 8), numbers(plan.rows, 4, 8, seed=1)
    with using(implementation):
        together = attention(plan, window, True)(queries, cache)
        for number, text in enumerate(made):
            own = [*(text.path.pages if text.path else []), *text.tiles]
            alone = Text(None, 0, text.length, own)
            for guess in range(new[number]):
                row = number * plan.width + guess
                kept = Text(None, 0, text.length + guess, alone.tiles)
                found = attention(plan_of([kept], [1], TILE), window, True)(queries[row : row + 1], cache)
                assert torch.equal(found[0], together[row])
                columns = cache[:, torch.tensor(own, device=DEVICE)].flatten(1, 2)
                branch = Branch(0, 1, kept.length, slice(0, columns.shape[1]), 0)
                read = PrefixPlan([Group(0, 1, slice(0, 0), (branch,))], columns.shape[1], torch.device(DEVICE))
                found = shared_prefix_attention(
                    queries[row : row + 1], *columns, read, scale=0.3, window=window, exact=True
                )
                assert torch.equal(found[0], together[row])


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("tokens", [0, 5])
@pytest.mark.parametrize("page", [1, 4])
def test_what_is_stored_and_where(implementation, dtype, tokens, page):
    keys = numbers(2, tokens, 3, dtype=dtype, seed=1).transpose(0, 1)
    values = numbers(tokens, 2, 9, dtype=dtype, seed=2)[..., ::3]
    slots = torch.tensor([4, 11, 0, 9, 2][:tokens], dtype=torch.long, device=DEVICE)
    cache = cache_of(12 // page, page, 2, 3, dtype)
    expected = cache.clone()
    for token, slot in enumerate(slots.tolist()):
        expected[:, slot // page, slot % page] = torch.stack((keys[token], values[token]))
    with using(implementation):
        store_kv(keys, values, cache, slots // page, slots % page)
    assert torch.equal(cache, expected)


@IMPLEMENTATIONS
def test_what_is_stored_is_what_is_read(implementation):
    """A text that grows token by token sees what one pass over all its tokens sees."""
    keys, values, queries = numbers(20, 2, 8, seed=1), numbers(20, 2, 8, seed=2), numbers(20, 4, 8, seed=3)
    made, pages = texts_of([19], [1], 16)
    cache = cache_of(pages, 16, 2, 8).zero_()
    with using(implementation):
        for token in range(20):
            made[0].length = token
            plan = plan_of(made, [1], 16)
            store_kv(keys[token : token + 1], values[token : token + 1], cache, *plan.into)
            found = attention(plan)(queries[token : token + 1], cache)
    scores = queries[-1].view(2, 2, 8) @ keys.permute(1, 2, 0) * 0.3
    torch.testing.assert_close(found, (scores.softmax(-1) @ values.transpose(0, 1)).view(1, 4, 8))
