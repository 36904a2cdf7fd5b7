"""What computes the loss of a batch, and by which arithmetic."""

from __future__ import annotations

import pytest
import torch
from stack.training.test_step import batch, model
from torch import Tensor, nn

from evalharness.stack.training.model import TrainingModel


def gradients(trained: TrainingModel) -> tuple[Tensor, dict[str, Tensor]]:
    losses, plain = trained(batch())
    losses.backward()
    assert not plain.requires_grad
    return losses.detach(), {name: parameter.grad for name, parameter in trained.decoder.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_computed_again_give_the_same_bits(dtype: torch.dtype) -> None:
    decoder = model().decoder
    plain, expected = gradients(TrainingModel(decoder, dtype=dtype))
    decoder.zero_grad(set_to_none=True)
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    decoder.blocks[0].register_forward_pre_hook(count)
    again, found = gradients(TrainingModel(decoder, dtype=dtype, recompute=True))
    assert passes == 2
    assert torch.equal(again, plain)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_in_bf16_products_are_narrow_and_all_else_is_wide() -> None:
    decoder = model().decoder
    seen: dict[str, torch.dtype] = {}
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear) and name != "head":
            module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: output.dtype}))
    losses, found = gradients(TrainingModel(decoder, dtype=torch.bfloat16))
    assert set(seen.values()) == {torch.bfloat16}
    assert losses.dtype == torch.float32
    assert all(gradient.dtype == torch.float32 for gradient in found.values())
    assert all(parameter.dtype == torch.float32 for parameter in decoder.parameters())
    wide, _ = gradients(TrainingModel(model().decoder))
    assert float(losses) == pytest.approx(float(wide), rel=0.02)
    assert not torch.equal(losses, wide)


def test_the_z_loss_is_in_the_first_sum_alone() -> None:
    decoder = model().decoder
    plain, without = TrainingModel(decoder)(batch())
    with_z, same = TrainingModel(decoder, z_loss=0.1)(batch())
    assert torch.equal(plain, without)
    assert torch.equal(same, without)
    assert float(with_z.detach()) > float(plain.detach())
