"""selective_scan: every implementation against float64, in chunks, in pieces, and cut anywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, Shapes, compare, with_gradients
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.selective_scan import in_torch, reference, selective_scan


def inputs(
    tokens: int,
    *,
    batch: int = 2,
    channels: int = 3,
    numbers: int = 4,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    wide: torch.dtype = torch.float64,
) -> list[Tensor]:
    """x, delta, A, B, C and the state before; some steps are so long that all that was before is gone."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    delta = F.softplus(3 * normal(batch, tokens, channels))
    A = -torch.exp(normal(channels, numbers))
    B, C = normal(batch, tokens, numbers), normal(batch, tokens, numbers)
    x, state = normal(batch, tokens, channels), normal(batch, channels, numbers)
    dtypes = (dtype, wide, wide, dtype, dtype, wide)
    return [
        each.to(DEVICE, kind).requires_grad_() for each, kind in zip((x, delta, A, B, C, state), dtypes, strict=True)
    ]


def test_one_channel_of_one_number_is_the_recurrence_written_out():
    x, delta, A, B, C, state = inputs(2, batch=1, channels=1, numbers=1)
    first = torch.exp(delta[0, 0, 0] * A[0, 0]) * state[0, 0, 0] + delta[0, 0, 0] * B[0, 0, 0] * x[0, 0, 0]
    second = torch.exp(delta[0, 1, 0] * A[0, 0]) * first + delta[0, 1, 0] * B[0, 1, 0] * x[0, 1, 0]
    outputs, left = reference.selective_scan(x, delta, A, B, C, state)
    torch.testing.assert_close(outputs[0, :, 0], torch.stack([C[0, 0, 0] * first, C[0, 1, 0] * second]))
    torch.testing.assert_close(left[0, 0, 0], second)


@pytest.mark.parametrize(("implementation", "longest"), [("torch", 70), ("triton", 9)])
@settings(max_examples=3, derandomize=True)
@given(
    data=st.data(),
    batch=st.integers(1, 2),
    channels=st.integers(1, 3),
    numbers=st.integers(1, 4),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, longest, data, batch, channels, numbers, dtype):
    sizes = {"batch": batch, "channels": channels, "numbers": numbers}
    given = inputs(data.draw(st.integers(1, longest)), **sizes, dtype=dtype, wide=torch.float32)
    # Gradients by A are sums of many terms of up to about this size.
    compare(selective_scan, given, implementation, times=3, scale=20)


@pytest.mark.parametrize("implementation", ["reference", "torch"])
def test_gradients_are_those_of_the_function(implementation, monkeypatch):
    monkeypatch.setattr(in_torch, "SHORTEST", 3)
    monkeypatch.setitem(in_torch.NUMBERS_AT_ONCE, "cpu", 1)
    with using(implementation):
        assert torch.autograd.gradcheck(selective_scan, inputs(8, channels=2, numbers=2))


@settings(deadline=None, max_examples=15, derandomize=True)
@given(tokens=st.integers(1, 40), chunk=st.integers(1, 45), batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_chunks_of_any_length_are_the_recurrence(tokens: int, chunk: int, batch: int, seed: int):
    given = inputs(tokens, batch=batch, seed=seed)
    found, expected = in_torch.in_chunks(*given, chunk), reference.selective_scan(*given)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-10)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(tokens=st.integers(1, 40), some=st.integers(2, 45), batch=st.integers(2, 3), wide=st.booleans())
def test_some_tokens_at_once_have_the_bits_of_one_after_another(tokens: int, some: int, batch: int, wide: bool):
    kind = torch.float64 if wide else torch.float32
    given_ = [each.detach() for each in inputs(tokens, batch=batch, channels=8, seed=some, dtype=kind, wide=kind)]
    found = in_torch.by_some_tokens(*given_, some)
    for ours, expected in zip(found, reference.by_token(*given_), strict=True):
        assert torch.equal(ours, expected)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(tokens=st.integers(1, 60), shortest=st.integers(1, 70), seed=st.integers(0, 1000))
def test_pieces_of_any_length_have_the_gradients_of_the_recurrence(tokens: int, shortest: int, seed: int):
    given = inputs(tokens, seed=seed)
    with using("reference"):
        expected = with_gradients(selective_scan, given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_torch, "SHORTEST", shortest)
        patch.setitem(in_torch.NUMBERS_AT_ONCE, "cpu", 1)
        found = with_gradients(selective_scan, given)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("numbers", [1, 32 * 24, 1 << 30])
def test_the_quickest_way_is_the_recurrence(numbers: int, monkeypatch):
    monkeypatch.setitem(in_torch.NUMBERS_AT_ONCE, "cpu", numbers)
    given = [each.detach() for each in inputs(70)]
    for one, other in zip(selective_scan(*given), reference.selective_scan(*given), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("chunk", [1, 8, 64, 500])
def test_fp32_is_as_near_to_fp64_in_chunks_as_by_token(chunk: int):
    exact, _ = reference.selective_scan(*inputs(500))
    single = [each.float() for each in inputs(500)]
    by_token = (reference.selective_scan(*single)[0] - exact).abs().max()
    in_chunks = (in_torch.in_chunks(*single, chunk)[0] - exact).abs().max()
    assert in_chunks <= 3 * by_token + 1e-6


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_steps_so_long_that_their_product_is_zero_give_numbers(implementation):
    x, delta, A, B, C, state = (each.detach().float() for each in inputs(9, batch=1))
    with using(implementation):
        outputs, left = selective_scan(x, delta + 200, 10 * A, B, C, state)
    assert bool(outputs.isfinite().all() and left.isfinite().all())
    torch.testing.assert_close(outputs, reference.selective_scan(x, delta + 200, 10 * A, B, C, state)[0])


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_a_sequence_may_be_cut_anywhere(implementation):
    x, delta, A, B, C, state = (each.detach().float() for each in inputs(10, batch=1, channels=2))
    whole, end = reference.selective_scan(x, delta, A, B, C, state)
    with using(implementation):
        pieces = []
        for at in (slice(0, 6), slice(6, 7), slice(7, 10)):
            said, state = selective_scan(x[:, at], delta[:, at], A, B[:, at], C[:, at], state)
            pieces.append(said)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, end, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", [(0, 2, 1), pytest.param((1, 0, 2), marks=pytest.mark.long)])
def test_strides_are_any(order):
    x, *others = inputs(5, channels=2, numbers=2, dtype=torch.float32, wide=torch.float32)
    x = x.detach().permute(order).contiguous().permute(order).requires_grad_()
    compare(selective_scan, (x, *others), "triton", times=3, scale=20)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_the_states_of_all_tokens_are_never_there(implementation):
    tokens, numbers = (200, 16) if implementation == "torch" else (12, 4)
    given = inputs(tokens, batch=1, channels=4, numbers=numbers, dtype=torch.float32, wide=torch.float32)
    with using(implementation), pytest.MonkeyPatch.context() as patch, Shapes() as shapes:
        patch.setitem(in_torch.NUMBERS_AT_ONCE, "cpu", 49 * 4 * numbers)
        if implementation == "triton":
            patch.setattr("evalharness.stack.kernels.selective_scan.in_triton.PROGRAMS", 1)
        outputs, end = selective_scan(*given)
        (outputs.sum() + end.sum()).backward()
    largest = max(torch.Size(shape).numel() for shape in shapes.seen if len(shape) > 3)
    # All states of a piece of 49 tokens and the one before them, or one before each chunk of four tokens.
    assert largest <= 4 * numbers * (50 if implementation == "torch" else tokens // 4)


def test_nothing_is_kept_of_a_piece_but_the_state_before_it():
    given = inputs(600, batch=1, numbers=8, dtype=torch.float32, wide=torch.float32)
    kept: dict[int, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(in_torch.NUMBERS_AT_ONCE, "cpu", 60 * given[-1].numel())
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each: kept.setdefault(each.data_ptr(), each.numel()) and each, lambda each: each
        ):
            selective_scan(*given)
    assert sum(kept.values()) <= sum(each.numel() for each in given) + 10 * given[-1].numel()


def test_autocast_narrows_nothing():
    given = [each.float() for each in inputs(20)]
    expected = selective_scan(*given)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = selective_scan(*given)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
