"""paged_decode and store_kv: every implementation against float64, and `exact` bit by bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal
from stack.kernels.paged_texts import Text, attention, cache_of, plan_of, texts_of

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.paged_decode import in_torch
from evalharness.stack.kernels.paged_decode import plan as plans
from evalharness.stack.kernels.paged_decode.blocks import MERGED, tile_of
from evalharness.stack.kernels.shared_prefix_attention import Branch, Group, PrefixPlan, shared_prefix_attention
from evalharness.stack.kernels.store_kv import store_kv
from evalharness.stack.kernels.tiles import TILE

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])


@pytest.fixture
def in_triton():
    return pytest.importorskip("evalharness.stack.kernels.paged_decode.in_triton")


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


@IMPLEMENTATIONS
@settings(max_examples=12, derandomize=True, deadline=None)
@given(
    few=st.sampled_from((0, in_torch.FEW)),
    texts=st.lists(
        st.tuples(st.integers(0, 48), st.integers(1, 3), st.sampled_from((None, 1, 2))), min_size=1, max_size=3
    ),
    heads=st.sampled_from(((1, 1), (6, 2), (3, 3))),
    size=st.sampled_from((1, 8, 20)),
    window=st.sampled_from((None, 1, 21)),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, few, texts, heads, size, window, dtype):
    lengths, new, paths = zip(*texts, strict=True)
    made, pages = texts_of(lengths, new, 16, paths)
    plan = plan_of(made, new, 16)
    queries = numbers(plan.rows, heads[0], size, dtype=dtype, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "SPLIT", 32)
        patch.setattr(in_torch, "FEW", few)  # below it, torch computes page by page
        compare(attention(plan, window), (queries, cache_of(pages, 16, heads[1], size, dtype)), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("paths", [(1, 1, None), (None, None, None)])
@pytest.mark.parametrize("exact", [False, True])
def test_whole_tiles_and_memory_of_any_order(implementation, paths, exact):
    made, pages = texts_of([70, 3, 100], [1, 2, 2], TILE, paths)
    plan = plan_of(made, [1, 2, 2], TILE)
    queries = numbers(4, plan.rows, 3 * 8, seed=1).transpose(0, 1)[..., 8:16]
    compare(attention(plan, 90, exact), (queries, numbers(2, pages, TILE, 2, 8, seed=2)), implementation)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 21, 80])
@pytest.mark.parametrize("exact", [False, True])
def test_a_page_that_is_read_in_steps(dtype, window, exact):
    """Of heads so large that a program does not take a page at once."""
    size = 256
    assert tile_of(16, size, dtype.itemsize, TILE, "sm_90").step < TILE
    made, pages = texts_of([60, 100, 30], [1, 3, 2], TILE, [None, 1, 1])
    plan = plan_of(made, [1, 3, 2], TILE)
    queries = numbers(plan.rows, 2, size, dtype=dtype, seed=1)
    compare(attention(plan, window, exact, 0.06), (queries, cache_of(pages, TILE, 1, size, dtype)), "triton")


@IMPLEMENTATIONS
@pytest.mark.parametrize(("size", "window"), [(8, None), (8, 40), (128, 40), (256, None)])
def test_exact_has_the_bits_of_a_row_that_is_read_alone(implementation, size, window):
    """Whatever texts are beside it, whatever is shared, and whether it was drawn or read."""
    new = [1, 3, 2, 1]
    made, pages = texts_of([90, 33, 5, 140], new, TILE, [2, 2, None, 1])
    plan = plan_of(made, new, TILE)
    cache, queries = cache_of(pages, TILE, 2, size), numbers(plan.rows, 4, size, seed=1)
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


def test_exact_launches_one_build_whatever_is_computed(in_triton, monkeypatch):
    """Numbers of rows, lengths, windows, where queries lie, and whether texts are drawn or read."""
    launched = Recorded(in_triton.attend, in_triton.unit_of)
    monkeypatch.setattr(in_triton, "attend", launched)
    fused = numbers(40, 6, 64, dtype=torch.bfloat16, seed=1)
    with using("triton"):
        for lengths, new, window in (([3], [1], None), ([200, 5], [2, 2], 7), ([64] * 9, [1] * 9, 100)):
            made, pages = texts_of(lengths, new, TILE, [1] * len(new))
            cache = cache_of(pages, TILE, 2, 64, torch.bfloat16)
            plan = plan_of(made, new, TILE)
            for queries in (fused[:, :4], fused[3:, 2:], fused.flatten(1)[:, 5 : 5 + 4 * 64].unflatten(1, (4, 64))):
                attention(plan, window, True)(queries[: plan.rows], cache)
            branch = Branch(0, 4, 66, slice(64, 128), 64)
            read = PrefixPlan([Group(0, 4, slice(0, 64), (branch,))], 128, torch.device(DEVICE))
            columns = cache_of(2, TILE, 2, 64, torch.bfloat16).flatten(1, 2)
            shared_prefix_attention(fused[:4, :4], *columns, read, scale=0.3, window=window, exact=True)
    assert len(launched.builds) == 12
    assert len(set(launched.builds)) == 1
    assert ("UNIT", 8) in launched.builds[0]


class Recorded:
    """A kernel, with the constants and options of its launches, which must be true of what it is given."""

    def __init__(self, kernel, unit_of):
        self.kernel, self.unit_of, self.builds = kernel, unit_of, []

    def __getitem__(self, grid):
        def launch(*arguments, **named):
            assert self.unit_of(*arguments[:3]) >= named["UNIT"]
            self.builds.append(tuple(sorted(named.items())))
            self.kernel[grid](*arguments, **named)

        return launch


@pytest.mark.parametrize("exact", [False, True])
def test_memory_that_is_not_aligned(in_triton, exact, monkeypatch):
    """It is read number by number, with the same result; queries are copied where only they are not aligned."""
    made, pages = texts_of([70, 3], [1, 2], TILE)
    plan = plan_of(made, [1, 2], TILE)
    queries, cache = numbers(plan.rows, 4, 16, seed=1), cache_of(pages, TILE, 2, 16)
    beside = torch.cat((cache[..., :1], cache), dim=-1)[..., 1:]
    assert [in_triton.unit_of(x) for x in (queries, cache, beside, cache.bfloat16())] == [4, 4, 1, 8]
    monkeypatch.setattr(in_triton, "attend", Recorded(in_triton.attend, in_triton.unit_of))
    with using("triton"):
        expected = attention(plan, None, exact)(queries, cache)
        for rows in (queries, torch.cat((queries[..., :1], queries), dim=-1)[..., 1:]):
            for memory in (cache, beside):
                torch.testing.assert_close(attention(plan, None, exact)(rows, memory), expected)


@pytest.mark.parametrize("exact", [False, True])
def test_what_was_never_written_is_not_read(exact, monkeypatch):
    """Neither memory behind the end of a text nor a part that a row does not have."""
    made, pages = texts_of([330, 3, 40], [1, 2, 1], 16, [None, 2, 2])
    plan = plan_of(made, [1, 2, 1], 16)
    queries, cache = numbers(plan.rows, 4, 8, seed=1), cache_of(pages, 16, 2, 8)
    monkeypatch.setattr(plans, "SPLIT", 16)  # more parts than are merged at once
    with using("triton"):
        expected = attention(plan, None, exact)(queries, cache)
    assert exact or plan.blocks(2, exact).parts > MERGED
    cache[:, 0] = torch.nan
    for text, count in zip(made, [1, 2, 1], strict=True):
        cache[:, text.tiles[-1], (text.length + count - text.shared - 1) % 16 + 1 :] = torch.nan
    monkeypatch.setattr(torch, "empty", lambda *shape, **named: torch.full(shape_of(shape), torch.nan, **named))
    with using("triton"):
        assert torch.equal(attention(plan, None, exact)(queries, cache), expected)


def shape_of(given):
    return given[0] if isinstance(given[0], tuple) else given


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
