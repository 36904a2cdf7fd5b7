"""flash_attention: every implementation against float64, for each kind of interval."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, Shapes, compare, normal

from evalharness.stack.kernels.flash_attention import (
    Blocks,
    KeyIntervals,
    causal,
    everything,
    flash_attention,
    packed,
)
from evalharness.stack.kernels.flash_attention.in_torch import runs_of
from evalharness.stack.kernels.op import using
from evalharness.stack.training.attention import BatchAttention

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])


def attention(intervals, *, slopes=None, scale=0.4):
    """Outputs and log-sum-exp, 0 in place of -inf."""

    def compute(queries, keys, values):
        mixed, sums = flash_attention(queries, keys, values, intervals, scale=scale, slopes_H=slopes)
        return mixed, sums.masked_fill(sums == -torch.inf, 0)

    return compute


def tensors(batch, count, seen, heads, groups, size, dtype=torch.float32):
    return (
        normal(batch, count, heads, size, dtype=dtype, seed=1),
        normal(batch, seen, groups, size, dtype=dtype, seed=2),
        normal(batch, seen, groups, size, dtype=dtype, seed=3),
    )


def documents(*lengths):
    return torch.tensor([number for number, length in enumerate(lengths) for _ in range(length)], device=DEVICE)


KINDS = {
    "causal": lambda count: causal(count, count, device=DEVICE),
    "window": lambda count: causal(count, count, window=5, device=DEVICE),
    "cached": lambda count: causal(count, count + 7, device=DEVICE),
    "cached window": lambda count: causal(count, count + 7, window=9, device=DEVICE),
    "everything": lambda count: everything(count, count + 3, device=DEVICE),
    "documents": lambda count: packed(
        count, documents_BT=torch.stack([documents(count // 2, count - count // 2), documents(count)]), window=None
    ),
    "documents, prefix and window": lambda count: packed(
        count,
        documents_BT=documents(count // 2, count - count // 2)[None],
        prefix_BT=torch.stack([torch.arange(count, device=DEVICE) % (count // 2 + 1) < 9] * 2)
        & (documents(count // 2, count - count // 2) == 0),
        window=4,
    ),
}


@IMPLEMENTATIONS
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_intervals(implementation, kind):
    intervals = KINDS[kind](19)
    compare(attention(intervals), tensors(2, 19, intervals.seen, 2, 1, 8), implementation)


@pytest.mark.long
@IMPLEMENTATIONS
@pytest.mark.parametrize("kind", KINDS)
def test_many_tiles(implementation, kind):
    intervals = KINDS[kind](53)
    compare(attention(intervals), tensors(2, 53, intervals.seen, 4, 2, 8), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("alibi", [False, True])
def test_numbers(implementation, dtype, alibi):
    slopes = torch.tensor([0.5, 0.25], device=DEVICE) if alibi else None
    prefix = torch.arange(30, device=DEVICE)[None] < 12
    intervals = packed(30, prefix_BT=prefix)
    compare(attention(intervals, slopes=slopes), tensors(1, 30, 30, 2, 1, 16, dtype), implementation)


@IMPLEMENTATIONS
@settings(max_examples=8, derandomize=True, deadline=None)
@given(
    batch=st.integers(0, 2),
    count=st.integers(0, 20),
    before=st.sampled_from((0, 1, 17)),
    heads=st.sampled_from(((1, 1), (2, 2), (3, 1))),
    size=st.sampled_from((1, 3, 8, 20)),
    window=st.sampled_from((None, 1, 6)),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, batch, count, before, heads, size, window, dtype):
    intervals = causal(count, count + before, window=window, device=DEVICE)
    compare(attention(intervals), tensors(batch, count, count + before, *heads, size, dtype), implementation)


@IMPLEMENTATIONS
def test_queries_that_see_nothing(implementation):
    first = torch.tensor([[0, 0, 2, 4, 4]], dtype=torch.int32, device=DEVICE)
    end = torch.tensor([[0, 0, 4, 4, 6]], dtype=torch.int32, device=DEVICE)
    intervals = KeyIntervals(first, end, 6)
    given = tensors(1, 5, 6, 2, 2, 4)
    compare(attention(intervals), given, implementation)
    with using(implementation):
        mixed, sums = flash_attention(*given, intervals, scale=1.0)
    assert not mixed[:, [0, 1, 3]].any()
    assert (sums == -torch.inf).any(1).tolist() == [[True, True, False, True, False]]


@IMPLEMENTATIONS
def test_memory_of_any_order(implementation):
    """Heads before tokens, columns of a wider matrix, and numbers of a head that do not lie side by side."""
    queries = normal(1, 4, 21, 8, seed=1).detach().transpose(1, 2).requires_grad_()
    both = normal(1, 21, 2, 3 * 8, seed=2).detach()
    keys, values = both[..., 8:16].requires_grad_(), normal(1, 8, 21, 2, seed=3).detach().permute(0, 2, 3, 1)
    compare(attention(causal(21, 21, device=DEVICE)), (queries, keys, values.requires_grad_()), implementation)


@pytest.mark.parametrize("tiles", [Blocks(32, 16, 4, 2), Blocks(16, 32, 4, 2, ahead=True)])
@pytest.mark.parametrize("kind", ["causal", "cached window", "documents, prefix and window"])
def test_tiles_of_any_shape(monkeypatch, kind, tiles):
    """Tiles seen by all rows, by some and by none, of more rows than columns and of fewer."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.flash_attention.in_triton")
    monkeypatch.setattr(in_triton, "_blocks", lambda kernel, like: tiles)
    intervals = KINDS[kind](53)
    compare(attention(intervals), tensors(2, 53, intervals.seen, 2, 1, 16), "triton")


@pytest.mark.parametrize("alibi", [False, True])
def test_scores_that_are_begun_ahead_are_the_same(monkeypatch, alibi):
    in_triton = pytest.importorskip("evalharness.stack.kernels.flash_attention.in_triton")
    slopes = torch.tensor([0.5, 0.25], device=DEVICE) if alibi else None
    intervals = KINDS["documents, prefix and window"](40)
    given = [part.detach() for part in tensors(2, 40, 40, 2, 1, 72, torch.bfloat16)]
    found = []
    for ahead in (False, True):
        tiles = Blocks(16, 16, warps=4, stages=2, ahead=ahead)
        monkeypatch.setattr(in_triton, "_blocks", lambda kernel, like, tiles=tiles: tiles)
        with using("triton"):
            found.append(flash_attention(*given, intervals, scale=0.1, slopes_H=slopes))
    for plain, ahead in zip(*found, strict=True):
        assert torch.equal(plain, ahead)


def test_rows_far_apart_are_copied():
    """Offsets of 32 bits in a tile reach so far; what lies nearer is taken as it lies."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.flash_attention.in_triton")
    far = torch.empty_strided((2, 3, 4, 8), (32, 2**24, 8, 1), device="meta")
    near = torch.empty_strided((2, 3, 4, 8), (32, 2**20, 8, 1), device="meta")
    assert in_triton._laid_out(far).stride() == (96, 32, 8, 1)
    assert in_triton._laid_out(near) is near


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_is_positive(scale):
    with pytest.raises(ValueError, match="the scale of attention is positive, not"):
        flash_attention(*tensors(1, 3, 3, 1, 1, 8), causal(3, 3, device=DEVICE), scale=scale)


@pytest.mark.parametrize("implementation", ["reference", "torch"])
@pytest.mark.parametrize("alibi", [False, True])
def test_gradients_are_those_of_the_function(implementation, alibi):
    slopes = torch.tensor([0.5, 0.25], device=DEVICE) if alibi else None
    intervals = packed(5, documents_BT=documents(2, 3)[None])
    given = [part.detach().double().requires_grad_() for part in tensors(1, 5, 5, 2, 1, 3)]
    with using(implementation):
        assert torch.autograd.gradcheck(
            lambda *parts: flash_attention(*parts, intervals, scale=0.7, slopes_H=slopes)[0], given
        )


@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize("kind", ["causal", "window", "cached", "documents, prefix and window"])
def test_products_where_there_is_no_flash_attention(monkeypatch, kind, alibi):
    """What torch computes on other devices than the processor, more than one mask at a time."""
    from evalharness.stack.kernels.flash_attention import in_torch

    monkeypatch.setattr(in_torch, "MASKED", 16)
    monkeypatch.setattr(in_torch, "_attend_flash", in_torch._attend_products)
    monkeypatch.setattr(in_torch, "_change_flash", in_torch._change_products)
    intervals = KINDS[kind](37)
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625], device=DEVICE) if alibi else None
    given = [part.detach().double().requires_grad_() for part in tensors(2, 37, intervals.seen, 4, 2, 8)]
    with using("reference"):
        exact = torch.autograd.grad(attention(intervals, slopes=slopes)(*given)[0].square().sum(), given)
    with using("torch"):
        found = torch.autograd.grad(attention(intervals, slopes=slopes)(*given)[0].square().sum(), given)
    for ours, reference in zip(found, exact, strict=True):
        torch.testing.assert_close(ours, reference)


@pytest.mark.parametrize("kind", ["causal", "window", "alibi", "documents and prefix"])
def test_no_square_of_scores_or_masks(kind):
    """No tensor that any operation of torch sees, forward or backward, has two axes of T."""
    count = 300
    slopes = torch.tensor([0.5, 0.25], device=DEVICE) if kind == "alibi" else None
    given = tensors(1, count, count, 2, 1, 8)
    with using("torch"), Shapes() as shapes:
        if kind == "documents and prefix":
            prefix = torch.arange(count, device=DEVICE)[None] < 100
            intervals = packed(count, documents_BT=documents(200, 100)[None], prefix_BT=prefix)
        else:
            intervals = causal(count, count, window=50 if kind == "window" else None, device=DEVICE)
        mixed, _ = flash_attention(*given, intervals, scale=1.0, slopes_H=slopes)
        mixed.sum().backward()
    assert shapes.seen
    assert not squares(shapes, count)


def squares(shapes, count):
    return [shape for shape in shapes.seen if sum(size >= count for size in shape) > 1]


def test_the_reference_has_squares():
    """What the last test looks for is found where it is."""
    with using("reference"), Shapes() as shapes:
        flash_attention(*tensors(1, 300, 300, 2, 1, 8), causal(300, 300, device=DEVICE), scale=1.0)
    assert squares(shapes, 300)


@pytest.mark.parametrize("window", [None, 6])
def test_intervals_are_the_masks_of_training(window):
    """`packed` says with two numbers a query what the mask of a batch says with T x T."""
    rows = torch.stack([documents(10, 1, 20, 9), documents(40)])
    prefix = torch.zeros(2, 40, dtype=torch.bool, device=DEVICE)
    prefix[0, :4], prefix[0, 11:25], prefix[1, :30] = True, True, True
    expected = BatchAttention(rows, prefix)._mask(40, window, torch.device(DEVICE))[:, 0]
    found = packed(40, documents_BT=rows, prefix_BT=prefix, window=window)
    assert torch.equal(found.visible(), expected)
    assert bool((found.first_BT.diff(dim=1) >= 0).all())
    assert bool((found.end_BT.diff(dim=1) >= 0).all())


def test_the_queries_of_each_key_are_those_that_see_it():
    intervals = packed(40, documents_BT=documents(10, 1, 20, 9)[None], window=6)
    firsts, ends = intervals.queries_of()
    queries = torch.arange(40, device=DEVICE)[:, None]
    assert torch.equal((queries >= firsts) & (queries < ends), intervals.visible()[0])


def test_a_bit_does_not_depend_on_the_rows_beside_it():
    """Triton's tiles begin at absolute positions: a query alone has the bits that it has in a batch."""
    queries, keys, values = (part.detach() for part in tensors(1, 40, 40, 2, 1, 8))
    with using("triton"):
        whole, sums = flash_attention(queries, keys, values, causal(40, 40, device=DEVICE), scale=0.4)
        for row in (0, 17, 39):
            seen = row + 1
            alone, sum_alone = flash_attention(
                queries[:, row:seen], keys[:, :seen], values[:, :seen], causal(1, seen, device=DEVICE), scale=0.4
            )
            assert torch.equal(alone, whole[:, row:seen])
            assert torch.equal(sum_alone[..., 0], sums[..., row])


def test_runs_of_documents_need_no_mask():
    intervals = packed(100, documents_BT=documents(50, 50)[None])
    assert [(run.queries, run.masked, run.causal) for run in runs_of(intervals, biased=False)] == [
        (slice(0, 50), False, True),
        (slice(50, 100), False, True),
    ]


def test_more_queries_than_keys_are_refused():
    with pytest.raises(ValueError, match="a causal mask of 5 queries needs at least as many keys, not 4"):
        causal(5, 4)
