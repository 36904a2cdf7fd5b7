import pytest
import torch
from torch import nn

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
