import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, Shapes, compare
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.linear_cross_entropy import chunks, in_torch, linear_cross_entropy, rows_at_once
from evalharness.stack.kernels.op import using

PLACES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def rows(
    count: int, width: int = 16, vocabulary: int = 50, *, scale: float = 0.5, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, projection, targets, weights of which some are 0 where there are several."""
    random = torch.Generator().manual_seed(seed)
    weights_N = torch.rand(count, generator=random) * 2
    weights_N[1::4] = 0
    return (
        torch.randn(count, width, generator=random).requires_grad_(),
        (torch.randn(vocabulary, width, generator=random) * scale).requires_grad_(),
        torch.randint(vocabulary, (count,), generator=random),
        weights_N,
    )


def plainly(hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, z_loss: float = 0.0) -> Tensor:
    """The formula, over all rows at once."""
    logits = F.linear(hidden, weight)
    losses = F.cross_entropy(logits, targets, reduction="none") + z_loss * logits.logsumexp(1).square()
    return (weights.to(losses.dtype) * losses).sum()


def with_gradients(function, hidden: Tensor, weight: Tensor, *others) -> list[Tensor]:
    found = function(hidden, weight, *others)
    total = found if isinstance(found, Tensor) else found[0]
    return [total.detach(), *torch.autograd.grad(total, (hidden, weight))]


def exactly(hidden: Tensor, weight: Tensor, *others) -> list[Tensor]:
    doubled = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    return with_gradients(plainly, *doubled, *others)


def distance(ours: Tensor, true: Tensor) -> float:
    return float((ours.double() - true).abs().max())


@pytest.mark.parametrize("z_loss", [0.0, 0.3])
def test_gradients_are_those_of_the_loss(z_loss: float) -> None:
    hidden, weight, targets, weights = rows(7, 5, 11)
    hidden, weight = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    assert torch.autograd.gradcheck(
        lambda hidden, weight: linear_cross_entropy(hidden, weight, targets, weights, z_loss, 3)[0], (hidden, weight)
    )


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_it_is_as_near_to_the_exact_loss_as_torchs_own(scale: float, z_loss: float) -> None:
    given = rows(200, vocabulary=700, scale=scale)
    mine = with_gradients(linear_cross_entropy, *given, z_loss, 64)
    theirs = with_gradients(plainly, *given, z_loss)
    for ours, torchs, true in zip(mine, theirs, exactly(*given, z_loss), strict=True):
        assert distance(ours, true) <= 4 * distance(torchs, true) + 1e-6 * float(true.abs().max())


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    count=st.integers(0, 40), chunk=st.integers(1, 50), vocabulary=st.integers(1, 30), z_loss=st.sampled_from([0, 0.1])
)
def test_the_size_of_chunks_changes_nothing(count: int, chunk: int, vocabulary: int, z_loss: float) -> None:
    given = rows(count, 4, vocabulary, seed=count)
    cut = with_gradients(linear_cross_entropy, *given, z_loss, chunk)
    whole = with_gradients(linear_cross_entropy, *given, z_loss, 1000)
    for one, other in zip(cut, whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(keep=st.lists(st.booleans(), min_size=1, max_size=20), z_loss=st.sampled_from([0, 0.1]))
def test_a_row_of_weight_0_is_as_good_as_absent(keep: list[bool], z_loss: float) -> None:
    hidden, weight, targets, _ = rows(len(keep), seed=len(keep))
    kept = torch.tensor(keep)
    weights = kept.float() * 1.5
    absent = hidden.detach()[kept].requires_grad_()
    expected = with_gradients(linear_cross_entropy, absent, weight, targets[kept], weights[kept], z_loss, 3)
    broken = torch.where(kept[:, None], hidden.detach(), torch.nan).requires_grad_()
    nonsense = torch.where(kept, targets, -100)
    total, by_hidden, by_weight = with_gradients(linear_cross_entropy, broken, weight, nonsense, weights, z_loss, 3)
    assert torch.equal(total, expected[0])
    assert torch.equal(by_hidden[kept], expected[1])
    assert not by_hidden[~kept].any()
    assert torch.equal(by_weight, expected[2])


def test_the_second_loss_is_plain_and_has_no_gradient() -> None:
    given = rows(30)
    total, plain = linear_cross_entropy(*given, z_loss=0.5)
    torch.testing.assert_close(plain, plainly(*given).detach())
    assert not plain.requires_grad
    assert total > plain


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_the_gradient_is_scaled_by_what_comes_from_above(z_loss: float) -> None:
    hidden, weight, targets, weights = rows(30)
    total, _ = linear_cross_entropy(hidden, weight, targets, weights, z_loss)
    twice = torch.autograd.grad(2 * total, (hidden, weight), retain_graph=True)
    once = torch.autograd.grad(total, (hidden, weight))
    assert all(torch.equal(two, 2 * one) for two, one in zip(twice, once, strict=True))


def test_of_bf16_numbers_losses_and_sums_over_chunks_are_fp32() -> None:
    """Products are rounded to bf16, as torch's are; what comes of them is not, and many chunks are as near as one."""
    hidden, weight, targets, weights = rows(200, vocabulary=300)
    hidden, weight = (tensor.detach().bfloat16().requires_grad_() for tensor in (hidden, weight))
    mine = with_gradients(linear_cross_entropy, hidden, weight, targets, weights, 0.0, 9)
    assert [tensor.dtype for tensor in mine] == [torch.float32, torch.bfloat16, torch.bfloat16]
    theirs = with_gradients(lambda *given: plainly(*given).float(), hidden, weight, targets, weights)
    true = exactly(hidden, weight, targets, weights)
    assert distance(mine[0], true[0]) < 1e-5 * float(true[0])
    for ours, torchs, exact in zip(mine[1:], theirs[1:], true[1:], strict=True):
        assert distance(ours, exact) <= 1.5 * distance(torchs, exact)


def test_validation_computes_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    given = rows(30)
    total, plain = linear_cross_entropy(*given, z_loss=0.1)
    products = []
    monkeypatch.setattr(chunks, "_added", lambda *given: products.append(given))
    with torch.no_grad():
        found = linear_cross_entropy(*given, z_loss=0.1)
    assert torch.equal(torch.stack(found), torch.stack((total, plain)))
    assert not found[0].requires_grad
    assert not products


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_frozen_has_no_gradient(frozen: int) -> None:
    given = rows(30)
    expected = with_gradients(linear_cross_entropy, *given)[2 - frozen]
    given[frozen].requires_grad_(False)
    linear_cross_entropy(*given)[0].backward()
    assert given[frozen].grad is None
    assert torch.equal(given[1 - frozen].grad, expected)


def test_no_row_counts() -> None:
    hidden, weight, targets, _ = rows(5)
    total, by_hidden, by_weight = with_gradients(linear_cross_entropy, hidden, weight, targets, torch.zeros(5))
    assert not any(tensor.any() for tensor in (total, by_hidden, by_weight))


@pytest.mark.parametrize(
    ("kind", "vocabulary", "expected"),
    [("cpu", 8192, 256), ("cpu", 50304, 256), ("cpu", 300, 4096), ("cuda", 50304, 2048), ("cuda", 2**18, 1024)],
)
def test_chunks_have_a_round_number_of_rows(kind: str, vocabulary: int, expected: int) -> None:
    assert rows_at_once(kind, vocabulary) == expected


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    count=st.sampled_from((0, 1, 5, 23)),
    width=st.sampled_from((1, 8, 33)),
    vocabulary=st.sampled_from((1, 7, 300, 4100)),
    dtype=st.sampled_from(FLOATS),
    z_loss=st.sampled_from((0.0, 0.1)),
)
def test_every_implementation_is_near_float64(implementation, count, width, vocabulary, dtype, z_loss) -> None:
    hidden, weight, targets, weights = (part.to(DEVICE) for part in rows(count, width, vocabulary))
    hidden, weight = (part.detach().to(dtype).requires_grad_() for part in (hidden, weight))
    compare(
        lambda hidden, weight, weights: linear_cross_entropy(hidden, weight, targets, weights, z_loss, 9),
        (hidden, weight, weights),
        implementation,
        scale=float(weights.sum()),
    )


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_the_logits_of_all_rows_are_never_there(implementation) -> None:
    given = [part.detach().to(DEVICE) for part in rows(400, 8, 300)]
    for part in given[:2]:
        part.requires_grad_()
    with using(implementation), Shapes() as shapes:
        linear_cross_entropy(*given, chunk=50)[0].backward()
    assert max(torch.Size(shape).numel() for shape in shapes.seen if 300 in shape) == 50 * 300
    # What the interpreter copies is counted in bytes.
    assert shapes.largest <= 4 * 50 * 300


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_nothing_is_computed_for_the_backward_pass_alone(implementation) -> None:
    """The gradients are there after the forward pass: what comes behind only scales them."""
    given = [part.detach().to(DEVICE) for part in rows(40, 8, 300)]
    given[0].requires_grad_()
    with using(implementation):
        total, _ = linear_cross_entropy(*given, chunk=50)
        with Shapes() as shapes:
            total.backward()
    assert not any(300 in shape for shape in shapes.seen)


def test_equal_inputs_give_equal_bits_on_several_threads() -> None:
    torch.set_num_threads(2)
    given = rows(900, 64, 1000)
    first = with_gradients(linear_cross_entropy, *given)
    for _ in range(3):
        again = with_gradients(linear_cross_entropy, *given)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_what_is_compiled_is_what_is_done_in_place() -> None:
    hidden, weight, targets, weights = (tensor.detach() for tensor in rows(30))
    logits = F.linear(hidden, weight)
    rest = (targets, weights, 0.1)
    for one, other in zip(
        in_torch.on_logits(logits, *rest, torch.float32), in_torch.in_place(logits.clone(), *rest, torch.float32),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(one, other)
    for kind in (torch.float32, torch.bfloat16):
        given = logits.to(kind)
        compiled = in_torch.on_logits(given, *rest, torch.bfloat16)
        in_place = in_torch.in_place(given.clone(), *rest, torch.bfloat16)
        for one, other in zip(compiled, in_place, strict=True):
            torch.testing.assert_close(one, other)
        assert [part.dtype for part in in_place] == [torch.float32, torch.float32, torch.bfloat16]


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
def test_compiled_it_is_the_same(place: str) -> None:
    given = [tensor.detach().to(place) for tensor in rows(200)]
    for tensor in given[:2]:
        tensor.requires_grad_()
    compiled = with_gradients(linear_cross_entropy, *given, 0.1, 64, True)
    for one, other in zip(compiled, with_gradients(linear_cross_entropy, *given, 0.1, 64), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("autocast", [True, False])
def test_cuda_multiplies_in_bf16_and_adds_in_fp32(autocast: bool) -> None:
    hidden, weight, targets, weights = (tensor.detach().cuda() for tensor in rows(4000, 64, 3000))
    dtype = torch.float32 if autocast else torch.bfloat16
    hidden, weight = hidden.bfloat16().to(dtype).requires_grad_(), weight.bfloat16().to(dtype).requires_grad_()
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        mine = with_gradients(linear_cross_entropy, hidden, weight, targets, weights, 0.0, 1024)
    true = exactly(hidden, weight, targets, weights)
    assert distance(mine[0], true[0]) < 1e-5 * float(true[0])
    for ours, exact in zip(mine[1:], true[1:], strict=True):
        assert ours.dtype == dtype
        assert distance(ours, exact) < 2**-6 * float(exact.abs().max())
