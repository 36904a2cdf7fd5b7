"""The selective scan: token by token as the paper writes it, and in chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evalharness.stack.layers import selective_scan
from evalharness.stack.layers.selective_scan import scan, scan_by_token, scan_in_chunks


def inputs(tokens: int, *, batch: int = 2, channels: int = 3, numbers: int = 4, seed: int = 0) -> list[Tensor]:
    """x, delta, A, B, C and the state before, in fp64; some steps are so long that all that was before is gone."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    delta = torch.nn.functional.softplus(3 * normal(batch, tokens, channels))
    A = -torch.exp(normal(channels, numbers))
    B, C = normal(batch, tokens, numbers), normal(batch, tokens, numbers)
    return [normal(batch, tokens, channels), delta, A, B, C, normal(batch, channels, numbers)]


def test_one_channel_of_one_number_is_the_recurrence_written_out() -> None:
    x, delta, A, B, C, state = inputs(2, batch=1, channels=1, numbers=1)
    first = torch.exp(delta[0, 0, 0] * A[0, 0]) * state[0, 0, 0] + delta[0, 0, 0] * B[0, 0, 0] * x[0, 0, 0]
    second = torch.exp(delta[0, 1, 0] * A[0, 0]) * first + delta[0, 1, 0] * B[0, 1, 0] * x[0, 1, 0]
    outputs, left = scan_by_token(x, delta, A, B, C, state)
    torch.testing.assert_close(outputs[0, :, 0], torch.stack([C[0, 0, 0] * first, C[0, 1, 0] * second]))
    torch.testing.assert_close(left[0, 0, 0], second)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(tokens=st.integers(1, 40), chunk=st.integers(1, 45), batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_chunks_of_any_length_are_the_recurrence_and_so_are_their_gradients(
    tokens: int, chunk: int, batch: int, seed: int
) -> None:
    by_token = [each.requires_grad_() for each in inputs(tokens, batch=batch, seed=seed)]
    in_chunks = [each.requires_grad_() for each in inputs(tokens, batch=batch, seed=seed)]
    expected, found = scan_by_token(*by_token), scan_in_chunks(*in_chunks, chunk)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-10)
        weights = torch.linspace(-1, 2, one.numel(), dtype=torch.float64).view_as(one)
        (one * weights).sum().backward(retain_graph=True)
        (other * weights).sum().backward(retain_graph=True)
    for one, other in zip(by_token, in_chunks, strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other.grad, one.grad, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("chunk", [1, 8, 64, 500])
def test_fp32_is_as_near_to_fp64_in_chunks_as_by_token(chunk: int) -> None:
    exact, _ = scan_by_token(*inputs(500))
    single = [each.float() for each in inputs(500)]
    by_token = (scan_by_token(*single)[0] - exact).abs().max()
    in_chunks = (scan_in_chunks(*single, chunk)[0] - exact).abs().max()
    assert in_chunks <= 3 * by_token + 1e-6


def test_steps_so_long_that_their_product_is_zero_give_numbers() -> None:
    x, delta, A, B, C, state = (each.float() for each in inputs(50))
    outputs, left = scan_in_chunks(x, delta + 200, 10 * A, B, C, state, 7)
    assert bool(outputs.isfinite().all() and left.isfinite().all())
    torch.testing.assert_close(outputs, scan_by_token(x, delta + 200, 10 * A, B, C, state)[0])


@pytest.mark.parametrize("numbers", [1, 32 * 24, 1 << 30])
def test_the_quickest_way_is_the_recurrence(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selective_scan, "NUMBERS_AT_ONCE", numbers)
    for one, other in zip(scan(*inputs(70)), scan_by_token(*inputs(70)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)
