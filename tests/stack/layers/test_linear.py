import pytest
import torch
from torch import nn

from evalharness.stack.kernels.op import exactly
from evalharness.stack.layers.linear import PackedLinear, SideBySide, can_pack, pack

pytestmark = pytest.mark.skipif(
    not can_pack(torch.device("cpu"), torch.float32), reason="this build of torch has no oneDNN to pack weights for"
)


@pytest.mark.parametrize("bias", [True, False])
def test_layers_side_by_side_become_one_product_with_the_same_outputs(bias: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        SideBySide(wide=nn.Linear(32, 48, bias=bias), narrow=nn.Linear(32, 16, bias=bias)),
        nn.Linear(64, 8, bias=bias),
    )
    x = torch.randn(5, 32)
    with torch.inference_mode():
        wide, narrow = model[0].wide(x), model[0].narrow(x)
        torch.testing.assert_close(model[0](x), torch.cat((wide, narrow), dim=-1))
        expected = model(x)
        pack(model)
        torch.testing.assert_close(model(x), expected)
    assert [type(layer) for layer in model] == [PackedLinear, PackedLinear]
    assert not list(model.parameters()), "plain weights are still there"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("outputs", "inputs"), [(576, 576), (1536, 576), (576, 1536), (2048, 1024)])
def test_in_exact_a_row_has_the_same_bits_whatever_is_beside_it(outputs: int, inputs: int, dtype: torch.dtype) -> None:
    """In whole grains of rows, as the engine asks; some processors divide long sums by the number of rows."""
    torch.manual_seed(0)
    layer = PackedLinear(torch.randn(outputs, inputs, dtype=dtype), torch.randn(outputs, dtype=dtype))
    x = torch.randn(200, inputs, dtype=dtype)
    with torch.inference_mode(), exactly():
        everything = layer(x)
        for first, rows in ((0, 8), (40, 8), (3, 16), (0, 24), (8, 32), (0, 64), (16, 112), (0, 184)):
            assert torch.equal(layer(x[first : first + rows]), everything[first : first + rows]), rows
