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
from evalharness.stack.kernels.int8_linear import weights as int8_weights
from evalharness.stack.kernels.op import TARGETS, exactly, using

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["torch", "triton"])
ROWS = st.sampled_from((0, 1, 3, 9, 129))
KINDS = {
    "int8": int8.quantize,
    "int8 for processors": lambda weight: int8.for_processor(int8.quantize(weight)),
    "int4": lambda weight: int4.quantize(weight, 32),
    "asymmetric int4": lambda weight: int4.quantize(weight, 64, symmetric=False),
    "int4 for processors": lambda weight: int4.for_processor(int4.quantize(weight, 32)),
}


def linear(kind, weight, bias):
    multiply = int8.int8_linear if kind.startswith("int8") else int4.int4_linear
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


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rows", [3, 20, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inputs", [512, 500])
def test_tiles_of_every_gpu(target, rows, dtype, inputs, monkeypatch):
    """With blocks that inputs fill, and with some that they do not."""
    for module in (int8, int4):
        in_triton = pytest.importorskip(f"{module.__name__}.in_triton")
        monkeypatch.setattr(in_triton, "target_of", lambda x: target)
    for kind in ("int8", "asymmetric int4"):
        weight = KINDS[kind](numbers(40, inputs, seed=1))
        x = numbers(rows, inputs, dtype=dtype, seed=2)
        compare(linear(kind, weight, True), (x, numbers(40, dtype=dtype, seed=3)), "triton")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inputs", [512, 500])
def test_groups_of_every_size(group, dtype, inputs):
    weight = int4.quantize(numbers(20, inputs, seed=1), group, symmetric=False)
    for rows in (2, 17):
        compare(lambda x: int4.int4_linear(x, weight), (numbers(rows, inputs, dtype=dtype, seed=2),), "triton")


def test_four_bits_of_few_rows_are_not_rounded():
    """They are off by no more than what the result is rounded by, while torch rounds each weight."""
    weight = int4.quantize(numbers(32, 512, seed=1), 64, symmetric=False)
    x = numbers(4, 512, dtype=torch.bfloat16, seed=2)
    expected = x.double() @ weight.dequantized(torch.float64).T
    # The interpreter cuts the result, whose smallest numbers show best what was rounded before.
    tolerance = {"rtol": 2**-7, "atol": 3e-5 * float(expected.abs().max())}
    with using("triton"):
        torch.testing.assert_close(int4.int4_linear(x, weight).double(), expected, **tolerance)
    with using("torch"), pytest.raises(AssertionError):
        torch.testing.assert_close(int4.int4_linear(x, weight).double(), expected, **tolerance)


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


# --------------------------------------------------------------------------- products of whole numbers

WHOLE = pytest.mark.skipif(
    DEVICE != "cpu" or not int8_weights._whole_numbers_known(), reason="this processor has no exact whole numbers"
)


@WHOLE
def test_eight_bits_for_processors_are_the_same_numbers():
    weight = int8.quantize(numbers(70, 33, seed=1))
    native = int8.for_processor(weight)
    assert native.native
    assert (native.outputs, native.columns) == (70, 33)
    back = int8_weights.plain(native)
    assert torch.equal(back.numbers_NK, weight.numbers_NK)
    assert torch.equal(back.scales_N, weight.scales_N)
    assert int8.for_processor(native) is native


@WHOLE
@pytest.mark.parametrize("kind", ["int8", "int8 for processors"])
def test_inputs_of_whole_numbers_are_off_by_half_a_step_at_most(kind):
    weight = KINDS[kind](numbers(40, 96, seed=1))
    x = numbers(7, 96, seed=2) * torch.tensor([1.0, 1e-20, 1e20, 3.0, 0.0, 1e-38, 1.0])[:, None]
    x[3, 5] = 900.0  # an outlier, whose row has coarse steps
    whole = int8_weights.plain(weight).dequantized(torch.float64)
    error = (int8.int8_linear(x, weight).double() - x.double() @ whole.T).abs()
    largest = x.double().abs().amax(1, keepdim=True)
    # Half a step for each input, and what fp32 rounds of sums and of their two digits.
    assert (error <= largest * (whole.abs().sum(1) / 65278 * 1.01 + 1e-5) + 1e-30).all()
    assert not int8.int8_linear(x[4:5], weight).any()


@WHOLE
@pytest.mark.parametrize("kind", ["int8", "int8 for processors"])
def test_inputs_that_are_no_numbers_do_not_become_some(kind):
    x = numbers(3, 64, seed=2)
    x[1, 7] = torch.nan
    found = int8.int8_linear(x, KINDS[kind](numbers(5, 64, seed=1)))
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 96), (192, 576), (5, 31)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_exact_a_row_has_the_same_bits_whatever_is_beside_it(kind, shape, dtype):
    if DEVICE != "cpu":
        pytest.skip("exact with small weights is the processor's")
    weight = KINDS[kind](numbers(*shape, seed=1))
    x = numbers(200, shape[1], dtype=dtype, seed=2)
    product = linear(kind, weight, False)
    with exactly():
        everything = product(x)
        for rows in (8, 16, 24, 64, 128, 136):  # the engine's products have whole grains of rows in exact
            for first in (0, 40):
                assert torch.equal(product(x[first : first + rows]), everything[first : first + rows]), rows


@WHOLE
@pytest.mark.parametrize("kind", ["int8", "int8 for processors"])
def test_whole_numbers_need_no_grains(kind):
    weight, x = KINDS[kind](numbers(64, 96, seed=1)), numbers(70, 96, seed=2)
    everything = int8.int8_linear(x, weight)
    assert all(torch.equal(int8.int8_linear(x[:rows], weight), everything[:rows]) for rows in (1, 2, 3, 9, 17))


@pytest.mark.parametrize("rows", [1, 8, 9])
def test_processors_without_exact_whole_numbers(rows, monkeypatch):
    monkeypatch.setattr(int8_weights, "_whole_numbers_known", lambda: False)
    weight = int8.quantize(numbers(300, 64, seed=1))
    assert int8.for_processor(weight) is weight
    for dtype in (torch.float32, torch.bfloat16):
        x = numbers(rows, 64, dtype=dtype, seed=2)
        expected = x.double() @ weight.dequantized(torch.float64).T
        tolerance = 4 * torch.finfo(dtype).eps * float(expected.abs().max())
        torch.testing.assert_close(int8.int8_linear(x, weight).double(), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("module", [int8, int4])
def test_rows_that_come_one_after_another_make_the_same_weight(module):
    weight = numbers(130, 64, seed=1).cpu()
    whole, filled = module.quantize(weight), module.room(130, 64)
    for first in range(0, 130, 40):
        filled.put(first, module.quantize(weight[first : first + 40]))
    assert torch.equal(filled.dequantized(torch.float32), whole.dequantized(torch.float32))


def test_the_layout_for_processors_can_take_the_place_of_the_other():
    weight = int4.quantize(numbers(640, 96, seed=1).cpu(), 32)
    apart, before = int4.for_processor(weight), weight.numbers().clone()
    there = int4.for_processor(weight, in_place=True)
    assert torch.equal(there.packed_NB, apart.packed_NB)
    assert there.packed_NB.data_ptr() == weight.packed_NB.data_ptr()
    assert torch.equal(there.numbers(), before)
