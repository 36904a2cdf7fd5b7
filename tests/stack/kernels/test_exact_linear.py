"""exact_linear: every implementation against float64, and a row's bits whatever is computed beside it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels import exact_linear as exact_linear_op
from evalharness.stack.kernels.exact_linear import TILES, exact_linear
from evalharness.stack.kernels.op import TARGETS, using

PROMISING = ["triton"] if DEVICE == "cuda" else ["torch", "triton"]
"""torch chooses kernels by shape on a GPU."""


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    rows=st.sampled_from((0, 1, 3, 9, 65)),
    inputs=st.sampled_from((1, 5, 64, 130)),
    outputs=st.sampled_from((1, 3, 64, 70)),
    dtype=st.sampled_from(FLOATS),
    bias=st.booleans(),
    narrow=st.booleans(),
)
def test_any_shape(implementation, rows, inputs, outputs, dtype, bias, narrow):
    weight = numbers(outputs, inputs, dtype=torch.bfloat16 if narrow and dtype == torch.float32 else dtype, seed=2)
    given_ = numbers(rows, inputs, dtype=dtype, seed=1), weight, numbers(outputs, dtype=dtype, seed=3) if bias else None
    compare(exact_linear, given_, implementation)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("inputs", [128, 130])
def test_tiles_of_every_gpu(target, dtype, inputs, monkeypatch):
    """More of them than follow one another; with blocks that inputs fill, and with some that they do not."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.exact_linear.in_triton")
    monkeypatch.setattr(in_triton, "target_of", lambda x: target)
    monkeypatch.setattr(exact_linear_op, "GROUP", 2)
    rows = 2 * TILES[target]["halves" if dtype.itemsize == 2 else "whole"].rows + 1
    compare(exact_linear, (numbers(rows, inputs, dtype=dtype, seed=1), numbers(140, inputs, dtype=dtype)), "triton")


@pytest.mark.parametrize("implementation", PROMISING)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("inputs", "outputs"), [(96, 64), (41, 67)])
def test_a_row_has_the_same_bits_alone_and_among_others(implementation, dtype, inputs, outputs):
    x, weight = numbers(64, inputs, dtype=dtype, seed=1), numbers(outputs, inputs, dtype=dtype, seed=2)
    bias, others = numbers(outputs, dtype=dtype, seed=3), 100 * numbers(64, inputs, dtype=dtype, seed=4)
    with using(implementation):
        whole = exact_linear(x, weight, bias)
        for rows, first in ((1, 0), (1, 63), (2, 5), (3, 61), (17, 20), (40, 1), (64, 0)):
            part = exact_linear(x[first : first + rows], weight, bias)
            assert torch.equal(part, whole[first : first + rows]), (rows, first)
        # Among other numbers, at another place.
        for at in (0, 63):
            mixed = others.clone()
            mixed[at] = x[7]
            assert torch.equal(exact_linear(mixed, weight, bias)[at], whole[7]), at


@pytest.mark.parametrize("implementation", PROMISING)
def test_how_rows_lie_does_not_matter(implementation):
    x, weight = numbers(2, 5, 48, seed=1), numbers(33, 48, seed=2)
    with using(implementation):
        found = exact_linear(x, weight)
        assert found.shape == (2, 5, 33)
        apart = torch.cat((x, x), dim=-1)[..., :48]
        assert torch.equal(exact_linear(apart, weight), found)
        odd = torch.cat((x.new_zeros(1), x.flatten()))[1:].view(x.shape)
        assert torch.equal(exact_linear(odd, weight), found)
        assert torch.equal(exact_linear(x, torch.cat((weight, weight), dim=1)[:, :48]), found)


@pytest.mark.parametrize("implementation", PROMISING)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_narrow_weight_has_the_bits_of_the_same_numbers_in_fp32(implementation, dtype):
    x, weight = numbers(9, 70, seed=1), numbers(65, 70, dtype=dtype, seed=2)
    with using(implementation):
        assert torch.equal(exact_linear(x, weight), exact_linear(x, weight.float()))
