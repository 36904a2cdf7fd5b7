"""int8_linear and int4_linear: packing, and every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels import int4_linear as int4
from evalharness.stack.kernels import int8_linear as int8
from evalharness.stack.kernels.int4_linear.weights import GROUPS, plain

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])
ROWS = st.sampled_from((0, 1, 3, 9, 129))
KINDS = {
    "int8": int8.quantize,
    "int4": lambda weight: int4.quantize(weight, 32),
    "asymmetric int4": lambda weight: int4.quantize(weight, 64, symmetric=False),
    "int4 for processors": lambda weight: int4.for_processor(int4.quantize(weight, 32)),
}


def linear(kind, weight, bias):
    multiply = int8.int8_linear if kind == "int8" else int4.int4_linear
    return lambda x, *more: multiply(x, weight, *(more if bias else ()))


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


@IMPLEMENTATIONS
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, derandomize=True, deadline=None)
@given(
    rows=ROWS,
    inputs=st.sampled_from((1, 31, 64, 96)),
    outputs=st.sampled_from((1, 5, 64)),
    dtype=st.sampled_from(FLOATS),
    bias=st.booleans(),
)
def test_any_shape(implementation, kind, rows, inputs, outputs, dtype, bias):
    weight = KINDS[kind](numbers(outputs, inputs, seed=1))
    x = numbers(rows, inputs, dtype=dtype, seed=2)
    compare(linear(kind, weight, bias), (x, numbers(outputs, dtype=dtype, seed=3)), implementation)


@IMPLEMENTATIONS
@pytest.mark.parametrize("kind", KINDS)
def test_more_axes_and_memory_of_any_order(implementation, kind):
    weight = KINDS[kind](numbers(64, 33, seed=1))
    x = numbers(2, 33, 3, seed=2).transpose(1, 2)
    compare(linear(kind, weight, False), (x,), implementation)


def test_eight_bits_are_the_nearest():
    weight = numbers(7, 40, seed=1)
    packed = int8.quantize(weight)
    steps = packed.scales_N.float()[:, None]
    # The largest may be cut by what bf16 took from its scale: half a step, and at most 127 x 2^-9 of one.
    assert ((packed.dequantized(torch.float32) - weight).abs() <= steps * 0.76).all()
    assert packed.numbers_NK.abs().amax() <= 127
    assert packed.bytes == 7 * 40 + 7 * 2


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_four_bits_are_the_nearest(group, symmetric):
    weight = numbers(64, 2 * group - 3, seed=1) + 0.3
    packed = int4.quantize(weight, group, symmetric=symmetric)
    steps = packed.scales_zeros_SN2[..., 0].float().T.repeat_interleave(group, 1)[:, : weight.shape[1]]
    assert ((packed.dequantized(torch.float32) - weight).abs() <= steps * 0.6).all()
    assert packed.bytes == 64 * group + 64 * 2 * 4


def test_rows_of_zeros_stay_zeros():
    weight = torch.zeros(2, 64, device=DEVICE)
    assert not int8.quantize(weight).dequantized(torch.float32).any()
    for symmetric in (True, False):
        assert not int4.quantize(weight, symmetric=symmetric).dequantized(torch.float32).any()


def test_the_layout_for_processors_holds_the_same_numbers():
    weight = int4.quantize(numbers(128, 100, seed=1).cpu(), 64)
    native = int4.for_processor(weight)
    if not native.native:
        pytest.skip("torch has no such layout for this processor")
    assert native.bytes == weight.bytes
    assert torch.equal(native.numbers(), weight.numbers())
    assert torch.equal(native.numbers(slice(64, 128)), weight.numbers()[64:])
    assert torch.equal(plain(native).packed_NB, weight.packed_NB)
    by_block = native.transposed(torch.float32, slice(64, 128))
    assert torch.equal(by_block[0, : weight.columns].T, weight.dequantized(torch.float32)[64:])


def test_rows_that_do_not_fill_the_layout_for_processors_stay_as_they_are():
    weight = int4.quantize(numbers(65, 64, seed=1))
    assert int4.for_processor(weight) is weight


def test_a_size_of_groups_that_no_kernel_has():
    with pytest.raises(ValueError, match="groups of 32, 64, 128, 256 columns, not of 48"):
        int4.quantize(numbers(2, 96), 48)
