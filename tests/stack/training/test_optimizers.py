"""One step of each optimizer against its formula, and gradients that shrink."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.optimizers import make_optimizers, set_rates, shrink_gradient


def parameter(*shape: int, seed: int = 0) -> nn.Parameter:
    """A parameter in fp64 with a gradient."""
    random = torch.Generator().manual_seed(seed)
    made = nn.Parameter(torch.randn(shape, generator=random, dtype=torch.float64))
    made.grad = torch.randn(shape, generator=random, dtype=torch.float64)
    return made


def stepped(learned: nn.Parameter, rule: OptimizerRule, steps: int = 1) -> Tensor:
    """The parameter after steps that all see the same gradient."""
    (optimizer,) = make_optimizers([("blocks.0.weight", learned)], [rule])
    for _ in range(steps):
        optimizer.step()
    return learned.detach()


def rms(x: Tensor) -> float:
    return math.sqrt(float((x * x).mean()))


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_adam_steps_by_its_formula(name: str) -> None:
    learned = parameter(4, 3)
    rule = OptimizerRule(name=name, rate=0.01, weight_decay=0.3, betas=(0.8, 0.99), epsilon=1e-3)
    p, g = learned.detach().clone(), learned.grad
    m = v = torch.zeros_like(p)
    for step in (1, 2):
        used = g + 0.3 * p if name == "adam" else g
        m, v = 0.8 * m + 0.2 * used, 0.99 * v + 0.01 * used**2
        if name == "adamw":
            p = (1 - 0.01 * 0.3) * p
        p = p - 0.01 * (m / (1 - 0.8**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-3)
    torch.testing.assert_close(stepped(learned, rule, steps=2), p, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (5,)])
def test_adafactor_steps_by_its_formula(shape: tuple[int, ...]) -> None:
    learned = parameter(*shape)
    rule = OptimizerRule(
        name="adafactor", rate=0.02, weight_decay=0.3, decay_power=0.6, update_clip=1.5, least_scale=1e-2
    )
    p, g = learned.detach().clone(), learned.grad
    assert g is not None
    row, column, whole = torch.zeros(4, 1), torch.zeros(1, 3), torch.zeros(shape)
    for step in (1, 2):
        kept = 1 - step**-0.6
        alpha = max(1e-2, rms(p)) * min(0.02, 1 / math.sqrt(step))
        p = (1 - 0.02 * 0.3) * p
        if len(shape) == 2:
            row = kept * row + (1 - kept) * (g**2).mean(1, keepdim=True)
            column = kept * column + (1 - kept) * (g**2).mean(0, keepdim=True)
            v = row * column / row.mean()
        else:
            v = whole = kept * whole + (1 - kept) * g**2
        u = g / v.sqrt()
        p = p - alpha * u / max(1, rms(u) / 1.5)
    torch.testing.assert_close(stepped(learned, rule, steps=2), p, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (12, 4), (4, 12)])
@pytest.mark.parametrize("adjustment", ["original", "match_rms_adamw"])
def test_muon_moves_by_an_orthogonal_matrix(rows: int, columns: int, adjustment: str) -> None:
    learned = parameter(rows, columns)
    before = learned.detach().clone()
    rule = OptimizerRule(name="muon", rate=0.1, weight_decay=0.5, rate_adjustment=adjustment, newton_schulz_steps=8)
    after = stepped(learned, rule)
    adjusted = math.sqrt(max(1, rows / columns)) if adjustment == "original" else 0.2 * math.sqrt(max(rows, columns))
    update = ((1 - 0.1 * 0.5) * before - after) / (0.1 * adjusted)
    singular = torch.linalg.svdvals(update)
    # The iteration ends between 0.68 and 1.13 (Jordan et al. 2024); the gradient's own are from 0.3 to 4.
    assert singular.min() > 0.65
    assert singular.max() < 1.2
    # It is orthogonal to the gradient's singular vectors: <update, gradient> is about the sum of its singular values.
    assert learned.grad is not None
    expected = torch.linalg.svdvals(learned.grad).sum()
    assert float((update * learned.grad).sum()) == pytest.approx(float(expected), rel=0.2)


def test_momentum_and_nesterov_reach_muon() -> None:
    """On a gradient that turns by a right angle, what is kept of the first one shows."""
    results = []
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
        learned = parameter(6, 6)
        rule = OptimizerRule(name="muon", rate=0.1, momentum=momentum, nesterov=nesterov)
        (optimizer,) = make_optimizers([("a", learned)], [rule])
        optimizer.step()
        learned.grad = parameter(6, 6, seed=1).grad
        optimizer.step()
        results.append(learned.detach())
    assert not torch.allclose(results[0], results[1])
    assert not torch.allclose(results[1], results[2])


def test_each_rule_has_its_optimizer_rates_and_names() -> None:
    named = [("blocks.0.a", parameter(4, 4)), ("blocks.0.b", parameter(4, 4)), ("norm.weight", parameter(4))]
    rules = [OptimizerRule(kind="matrix", name="muon", rate=0.02), OptimizerRule(rate=3e-3)]
    optimizers = make_optimizers(named, rules)
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.Muon, torch.optim.AdamW]
    assert [optimizer.param_groups[0]["base_rate"] for optimizer in optimizers] == [0.02, 3e-3]
    assert optimizers[0].param_groups[0]["param_names"] == ["blocks.0.a", "blocks.0.b"]
    assert optimizers[1].param_groups[0]["fused"]
    set_rates(optimizers, 0.5)
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == [0.01, 1.5e-3]


def test_state_goes_into_a_new_optimizer_and_steps_on_the_same() -> None:
    """What a checkpoint keeps suffices: steps 3 and 4 are the same to the bit."""
    rules = [
        OptimizerRule(match="a*", name="adafactor", rate=0.01),
        OptimizerRule(match="b*", name="muon", rate=0.01),
        OptimizerRule(rate=0.01),
    ]

    def named() -> list[tuple[str, nn.Parameter]]:
        return [(name, parameter(4, 5, seed=place)) for place, name in enumerate(("a", "b", "c"))]

    kept, other = named(), named()
    first, second = make_optimizers(kept, rules), make_optimizers(other, rules)
    for optimizer in first * 2:
        optimizer.step()
    for (_, old), (_, new) in zip(kept, other, strict=True):
        new.data.copy_(old.data)
    for old_optimizer, new_optimizer in zip(first, second, strict=True):
        new_optimizer.load_state_dict(copy.deepcopy(old_optimizer.state_dict()))
    for optimizer in [*first, *second] * 2:
        optimizer.step()
    for (_, old), (_, new) in zip(kept, other, strict=True):
        assert torch.equal(old, new)


def test_a_torch_without_muon_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(TrainingError, match=r"muon needs torch 2\.9 or newer; this is torch"):
        make_optimizers([("a", parameter(2, 2))], [OptimizerRule(name="muon", rate=0.1)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7, 1.0])
def test_a_shrunk_gradient_is_alpha_times_and_the_value_the_same(alpha: float, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.randn(50, generator=random).to(dtype).requires_grad_()
    weights = torch.randn(50, generator=random).to(dtype)
    shrunk = shrink_gradient(x, alpha)
    assert torch.equal(shrunk, x)
    (shrunk * weights).sum().backward()
    torch.testing.assert_close(x.grad, (alpha * weights.double()).to(dtype))


def test_a_tied_head_keeps_its_own_gradient() -> None:
    table = parameter(7, 3)
    ids = torch.tensor([1, 1, 4])

    def gradients(alpha: float) -> Tensor:
        table.grad = None
        hidden = shrink_gradient(table[ids], alpha)
        (hidden.detach() @ table.T + hidden.sum()).sum().backward()
        assert table.grad is not None
        return table.grad.clone()

    at_the_head = gradients(0.0)
    torch.testing.assert_close(gradients(0.1) - at_the_head, 0.1 * (gradients(1.0) - at_the_head))
    assert at_the_head.abs().sum() > 0
