"""Steps that are recorded, with a stand-in for a GPU's graph: the same computation again, from the same buffers."""

from __future__ import annotations

import pytest
import torch
from stack.engine.test_attention import PREAMBLE, again, assert_close, generate, serve, small_model
from torch.utils._python_dispatch import TorchDispatchMode

from evalharness.stack.engine.requests import Sampling

TRITON = "torch,paged_decode=triton"
ASKS_THE_GPU = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
JOBS = [
    generate([*PREAMBLE[:65]], 3, n=2, sampling=Sampling(temperature=0.9, seed=2)),
    generate([5], 4),
]


class Launches(TorchDispatchMode):
    """The operations of torch and the memory they read and write; none may ask for a number, as a graph cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in ASKS_THE_GPU
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


class Recorder:
    """Keeps what is launched: when it is played again it must be the same."""

    def __init__(self) -> None:
        self.recorded = self.played = 0

    def __call__(self, compute):
        self.recorded += 1
        first = self._launches(compute)

        def play() -> None:
            self.played += 1
            assert self._launches(compute) == first

        return play

    @staticmethod
    def _launches(compute) -> list[str]:
        # What Triton's interpreter does by torch is no launch.
        with Launches() as launches:
            compute()
        return launches.seen


@pytest.mark.parametrize("guesses", [0, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("numerics", ["fast", pytest.param("exact", marks=pytest.mark.long)])
def test_results_are_those_of_steps_that_are_not_recorded(numerics, guesses):
    model = small_model(layers=1)
    jobs = JOBS if not guesses else [*JOBS, generate([1, 2] * 4, 7)]
    record = Recorder()
    found = serve(model, again(jobs), TRITON, numerics=numerics, guesses=guesses, record=record)
    plain = serve(model, again(jobs), TRITON if numerics == "exact" else "torch", numerics=numerics)
    if numerics == "exact":
        assert found == plain
    else:
        assert_close(found, plain)
    assert 1 <= record.recorded < record.played


@pytest.mark.parametrize("told", ["torch", "torch,paged_decode=reference"])
def test_nothing_is_recorded_where_triton_does_not_attend(told):
    record = Recorder()
    serve(small_model(), again(JOBS), told, record=record)
    assert record.recorded == record.played == 0
