"""Ops that are row-wise: a row has the same bits alone and among others; and what `exactly` makes of dispatch."""

from __future__ import annotations

import pytest
import torch
from stack.kernels.ladder import DEVICE, normal

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels import op as ops
from evalharness.stack.kernels.exact_linear import OP as EXACT_LINEAR
from evalharness.stack.kernels.glu import glu
from evalharness.stack.kernels.layer_norm import layer_norm
from evalharness.stack.kernels.linear_scoring import linear_scoring
from evalharness.stack.kernels.op import Op, exact_refusal, exactly, triton_missing, using
from evalharness.stack.kernels.rms_norm import add_rms_norm, rms_norm
from evalharness.stack.kernels.rope import rope

WIDTH = 72


def numbers(*shape, dtype=torch.float32, seed=0):
    return normal(*shape, dtype=dtype, seed=seed, gradient=False)


def scored(x, weight, targets):
    found = linear_scoring(x, weight, targets, entropies=True, exact=True)
    return torch.stack((found.log_likelihoods_RK[:, 0], found.entropies_R, found.greedy_RK[:, 0].float()), dim=1)


def row_wise_functions(dtype):
    """By name a function of rows [N, W] and their numbers, [N]."""
    weight, bias, head = (numbers(*shape, dtype=dtype, seed=5) for shape in ((WIDTH,), (WIDTH,), (70, WIDTH)))
    residual, angles = numbers(20, WIDTH, dtype=dtype, seed=6), numbers(20, 1, 12, seed=7)
    cos, sin = (torch.cat((part, part), dim=-1).to(dtype) for part in (angles.cos(), angles.sin()))
    targets = torch.arange(20, device=DEVICE)[:, None]
    return {
        "rms_norm": lambda x, at: rms_norm(x, weight, 1e-5),
        "add_rms_norm": lambda x, at: add_rms_norm(x, residual[at], weight, 1e-5)[0],
        "layer_norm": lambda x, at: layer_norm(x, weight, bias, 1e-5),
        "rope": lambda x, at: rope(x.view(len(x), 3, 24), cos[at], sin[at]),
        "glu": lambda x, at: glu(x, "swish"),
        "linear_scoring": lambda x, at: scored(x, head, targets[at]),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", row_wise_functions(torch.float32))
def test_a_row_has_the_same_bits_alone_and_among_others(name, dtype):
    x, function = numbers(20, WIDTH, dtype=dtype, seed=1), row_wise_functions(dtype)[name]
    places = torch.arange(20, device=DEVICE)
    with using("triton"), exactly():
        whole = function(x, places)
        for at in (places[:1], places[3:4], places[12:], places.flip(0)[:8]):
            assert torch.equal(function(x[at], at), whole[at])


def test_on_a_processor_exactness_is_the_callers(monkeypatch):
    x = torch.ones(2, 8)
    for told in ("torch", "reference"):
        with using(told), exactly():
            assert EXACT_LINEAR.chosen(x) == told
    monkeypatch.delenv(ops.VARIABLE, raising=False)
    ops._forget()
    with exactly():
        assert EXACT_LINEAR.chosen(x) == "torch"


def test_a_triton_kernel_that_is_not_row_wise_is_refused():
    x, other = torch.ones(2, 8, device=DEVICE), Op("exact_linear", EXACT_LINEAR.signatures)
    with using("triton"):
        assert other.chosen(x) == "triton"
        with exactly(), pytest.raises(KernelError, match=r"exact: Triton's exact_linear has other bits"):
            other.implementation(x)
        with exactly(), exactly(False):
            assert other.chosen(x) == "triton"
        assert other.chosen(x) == "triton"


def test_on_a_gpu_torch_computes_nothing_exactly(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(ops, "triton_missing", lambda device: None)
    monkeypatch.delenv(ops.VARIABLE, raising=False)
    ops._forget()
    assert EXACT_LINEAR.choose(gpu, torch.float32, 0) == "torch"
    with exactly():
        assert EXACT_LINEAR.choose(gpu, torch.float32, 0) == "triton"
        with pytest.raises(KernelError, match=r"which cannot compute exact_linear here: its .* not torch\.float64"):
            EXACT_LINEAR.choose(gpu, torch.float64, 0)
    assert exact_refusal(gpu, torch.bfloat16) is None
    assert "not torch.float64" in exact_refusal(gpu, torch.float64)
    with using("exact_linear=torch"), exactly(), pytest.raises(KernelError, match="needs triton for exact_linear"):
        EXACT_LINEAR.choose(gpu, torch.float32, 0)
    with using("torch"):
        assert "EVALHARNESS_KERNELS says torch" in exact_refusal(gpu, torch.float32)


def test_where_triton_is_missing_that_is_told(monkeypatch):
    monkeypatch.setattr(ops.util, "find_spec", lambda name: None)
    triton_missing.cache_clear()
    assert "pip install 'evalharness[triton]'" in exact_refusal(torch.device("cuda"), torch.float32)
    triton_missing.cache_clear()
    assert exact_refusal(torch.device("cpu"), torch.float64) is None
    assert "processors and GPUs only" in exact_refusal(torch.device("meta"), torch.float32)
