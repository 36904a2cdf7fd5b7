"""What an evaluation may change for the training around it is put back."""

from __future__ import annotations

import random

import numpy
import pytest

from evalharness.run.unchanged import unchanged

torch = pytest.importorskip("torch", reason="what is put back is torch's")


def drawn() -> tuple[float, float, float]:
    return random.random(), float(numpy.random.random()), float(torch.rand(()))


def state() -> list[object]:
    return [
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    ]


def spoil() -> None:
    before = state()
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    assert all(old != new for old, new in zip(before, state(), strict=True))
    drawn()
    raise ZeroDivisionError


def test_everything_is_put_back_also_after_an_error() -> None:
    random.seed(1)
    numpy.random.seed(2)
    torch.manual_seed(3)
    before = state()
    with unchanged():
        expected = drawn()
    with pytest.raises(ZeroDivisionError), unchanged():
        spoil()
    assert state() == before
    assert drawn() == expected


def test_memory_is_not_filled_before_it_is_used() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with unchanged():
            assert not torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
