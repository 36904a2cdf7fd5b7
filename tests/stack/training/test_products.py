import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.layers.linear import SideBySide, can_pack
from evalharness.stack.training import products
from evalharness.stack.training.products import linear, rows_times, use_fast_products

pytestmark = pytest.mark.skipif(
    not can_pack(torch.device("cpu"), torch.float32), reason="this build of torch has no oneDNN's product"
)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for each product of oneDNN's."""
    found: list[int] = []
    product = products.product
    monkeypatch.setattr(products, "product", lambda *given: found.append(1) or product(*given))
    return found


def layer(rows: tuple[int, ...], inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return (
        torch.randn(*rows, inputs, requires_grad=True),
        torch.randn(outputs, inputs, requires_grad=True),
        torch.randn(outputs, requires_grad=True),
    )


def outputs_and_gradients(function, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    y = function(x, weight, bias)
    wanted = [tensor for tensor in (x, weight, bias) if tensor is not None]
    towards = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad(y, wanted, towards)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [(1024,), (4, 256)])
def test_outputs_and_gradients_are_as_near_to_the_exact_ones_as_those_of_torch(
    rows: tuple[int, ...], bias: bool, counted: list[int]
) -> None:
    x, weight, bias_M = layer(rows, 96, 160)
    mine = outputs_and_gradients(linear, x, weight, bias_M if bias else None)
    assert len(counted) == 2, "outputs and input gradients are to be oneDNN's"
    theirs = outputs_and_gradients(F.linear, x, weight, bias_M if bias else None)
    exact = outputs_and_gradients(F.linear, x.double(), weight.double(), bias_M.double() if bias else None)
    for ours, torchs, true in zip(mine, theirs, exact, strict=True):
        assert (ours.shape, ours.dtype) == (true.shape, torch.float32)
        assert (ours - true).abs().max() <= 4 * (torchs - true).abs().max()


def test_inputs_may_lie_in_memory_as_they_like() -> None:
    x, weight, bias = layer((256, 4), 96, 160)
    turned = x.detach().transpose(0, 1).requires_grad_()
    mine, theirs = (outputs_and_gradients(function, turned, weight, bias) for function in (linear, F.linear))
    for ours, torchs in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-3, rtol=1e-4)


def test_equal_inputs_give_equal_bits_on_several_threads() -> None:
    torch.set_num_threads(2)
    x, weight, bias = layer((2048,), 96, 160)
    first = outputs_and_gradients(linear, x, weight, bias)
    for _ in range(5):
        again = outputs_and_gradients(linear, x.detach().clone().requires_grad_(), weight, bias)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_products_and_other_dtypes_are_torchs_own(dtype: torch.dtype) -> None:
    rows = 16 if dtype == torch.float32 else 1024
    x, weight, bias = (tensor.detach().to(dtype).requires_grad_() for tensor in layer((rows,), 96, 160))
    mine, theirs = (outputs_and_gradients(function, x, weight, bias) for function in (linear, F.linear))
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))
    with torch.no_grad():
        assert torch.equal(rows_times(x, weight, bias), F.linear(x, weight, bias))


def test_under_autocast_a_product_is_autocasts() -> None:
    x, weight, bias = layer((1024,), 96, 160)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16


@pytest.mark.parametrize("bias", [True, False])
def test_a_model_keeps_its_parameters_and_computes_the_same(bias: bool, counted: list[int]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        SideBySide(wide=nn.Linear(96, 100, bias=bias), narrow=nn.Linear(96, 60, bias=bias)),
        nn.Linear(160, 64, bias=bias),
    )
    x = torch.randn(1024, 96)

    def step() -> dict[str, Tensor]:
        model.zero_grad()
        y = model(x)
        y.square().mean().backward()
        return {"y": y.detach(), **{name: parameter.grad for name, parameter in model.named_parameters()}}

    before, names = step(), list(model.state_dict())
    assert not counted
    use_fast_products(model)
    after = step()
    assert len(counted) == 3, "two layers' outputs, and the input gradient of one"
    assert list(model.state_dict()) == names
    assert before.keys() == after.keys()
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=1e-4)
