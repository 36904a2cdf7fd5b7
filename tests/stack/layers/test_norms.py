"""Norms against torch's own in fp64, with an error bounded by what rounding to the dtype costs."""

import pytest
import torch
from torch.nn import functional as F

from evalharness.stack.layers.norms import NORMS

SIZE, EPSILON = 48, 1e-3


def made(name: str, dtype: torch.dtype) -> torch.nn.Module:
    """The norm with weights that can be seen."""
    random = torch.Generator().manual_seed(1)
    layer = NORMS[name](SIZE, EPSILON)
    for parameter in layer.parameters():
        parameter.data += torch.randn(SIZE, generator=random) * 0.3
    return layer.to(dtype).requires_grad_(False)


def definition(name: str, layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    x, weight = x.double(), layer.weight.double()
    if name == "rms_norm":
        return x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight + layer.bias.double()


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 23), (torch.bfloat16, 7), (torch.float16, 10)])
@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_its_formula(name, dtype, digits):
    layer = made(name, dtype)
    # Large and small rows: numbers of which the squares leave fp16 must not matter, as the inside is fp32.
    x = torch.randn(7, 5, SIZE, generator=torch.Generator().manual_seed(2)) * torch.logspace(-3, 3, 7)[:, None, None]
    x = x.to(dtype)
    expected = definition(name, layer, x)
    found = layer(x)
    assert found.dtype == dtype
    assert ((found.double() - expected).abs() / expected.abs().clamp(min=0.5)).max() < 4 * 2.0**-digits


@pytest.mark.parametrize("name", NORMS)
def test_the_norm_of_a_sum_comes_with_the_sum(name):
    layer = made(name, torch.float32)
    x, added = torch.randn(2, 6, SIZE, generator=torch.Generator().manual_seed(4))
    normed, total = layer.of_sum(x, added)
    assert torch.equal(total, x + added)
    assert torch.equal(normed, layer(x + added))


def test_they_are_torchs():
    x = torch.randn(6, SIZE, generator=torch.Generator().manual_seed(3))
    rms, layer = made("rms_norm", torch.float32), made("layer_norm", torch.float32)
    torch.testing.assert_close(rms(x), F.rms_norm(x, (SIZE,), rms.weight, EPSILON))
    torch.testing.assert_close(layer(x), F.layer_norm(x, (SIZE,), layer.weight, layer.bias, EPSILON))
