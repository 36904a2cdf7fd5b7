"""paged_decode and store_kv: every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.paged_decode import paged_decode
from evalharness.stack.kernels.store_kv import store_kv

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


def table(batch, pages, *, seed=3):
    """Pages of each text, none of them anyone else's."""
    order = torch.randperm(batch * pages, generator=torch.Generator().manual_seed(seed))
    return order.int().view(batch, pages).to(DEVICE)


def decode(pages, lengths, page, window):
    lengths = torch.tensor(lengths, dtype=torch.int32, device=DEVICE)

    def compute(queries, cache):
        mixed, sums = paged_decode(queries, cache, pages, lengths, page=page, scale=0.3, window=window)
        return mixed, sums.masked_fill(sums == -torch.inf, 0)

    return compute


@IMPLEMENTATIONS
@settings(max_examples=10, derandomize=True, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 48), max_size=3),
    page=st.sampled_from((1, 3, 16)),
    heads=st.sampled_from(((1, 1), (6, 2), (3, 3))),
    size=st.sampled_from((1, 8, 20)),
    window=st.sampled_from((None, 1, 21)),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, lengths, page, heads, size, window, dtype):
    pages = table(len(lengths), -(-48 // page))
    cache = numbers(2, pages.numel() * page, heads[1], size, dtype=dtype, seed=2)
    queries = numbers(len(lengths), heads[0], size, dtype=dtype, seed=1)
    compare(decode(pages, lengths, page, window), (queries, cache), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("window", [None, 40])
def test_pages_side_by_side_and_memory_of_any_order(implementation, window):
    pages = torch.arange(10, dtype=torch.int32, device=DEVICE).view(2, 5)
    cache = numbers(2, 80, 2, 3 * 8, seed=2)[..., 8:16]
    queries = numbers(4, 2, 8, seed=1).transpose(0, 1)
    compare(decode(pages, [40, 33], 8, window), (queries, cache), implementation)


def test_products_where_there_is_no_flash_attention(monkeypatch):
    from evalharness.stack.kernels.paged_decode import in_torch

    monkeypatch.setattr(in_torch, "_flash", lambda *parts: tuple(found[None] for found in in_torch._products(*parts)))
    compare(decode(table(2, 3), [40, 5], 16, 9), (numbers(2, 4, 8, seed=1), numbers(2, 96, 2, 8, seed=2)), "torch")


def test_a_bit_does_not_depend_on_the_texts_beside_it():
    pages, lengths = table(3, 6), torch.tensor([90, 33, 5], dtype=torch.int32, device=DEVICE)
    cache, queries = numbers(2, 18 * 16, 2, 8, seed=2), numbers(3, 4, 8, seed=1)
    with using("triton"):
        together, sums = paged_decode(queries, cache, pages, lengths, page=16, scale=0.3)
        for text in range(3):
            part = slice(text, text + 1)
            room = -(-int(lengths[text]) // 16)
            alone, sums_alone = paged_decode(
                queries[part], cache, pages[part, :room], lengths[part], page=16, scale=0.3
            )
            assert torch.equal(alone, together[part])
            assert torch.equal(sums_alone, sums[part])


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("tokens", [0, 5])
def test_what_is_stored_and_where(implementation, dtype, tokens):
    keys = numbers(2, tokens, 3, dtype=dtype, seed=1).transpose(0, 1)
    values = numbers(tokens, 2, 9, dtype=dtype, seed=2)[..., ::3]
    slots = torch.tensor([4, -1, 0, 9, 2][:tokens], dtype=torch.long, device=DEVICE)
    cache = numbers(2, 10, 2, 3, dtype=dtype, seed=3)
    expected = cache.clone()
    for token, slot in enumerate(slots.tolist()):
        if slot >= 0:
            expected[:, slot] = torch.stack((keys[token], values[token]))
    with using(implementation):
        store_kv(keys, values, cache, slots)
    assert torch.equal(cache, expected)


@IMPLEMENTATIONS
def test_what_is_stored_is_what_is_read(implementation):
    """A text that grows token by token sees what one pass over all its tokens sees."""
    keys, values = numbers(20, 2, 8, seed=1), numbers(20, 2, 8, seed=2)
    pages, cache = table(1, 5), torch.full((2, 20, 2, 8), torch.nan, device=DEVICE)
    slots = (pages[0].long()[:, None] * 4 + torch.arange(4, device=DEVICE)).flatten()
    query = numbers(1, 4, 8, seed=3)
    with using(implementation):
        for token in range(20):
            store_kv(keys[token : token + 1], values[token : token + 1], cache, slots[token : token + 1])
        found, _ = paged_decode(query, cache, pages, torch.tensor([20]).int().to(DEVICE), page=4, scale=0.3)
    scores = query[0].view(2, 2, 8) @ keys.permute(1, 2, 0) * 0.3
    expected = (scores.softmax(-1) @ values.transpose(0, 1)).view(1, 4, 8)
    torch.testing.assert_close(found, expected)
