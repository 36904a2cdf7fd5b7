"""The rungs that each op climbs: float64 reference, torch, and Triton, in the interpreter where there is no GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from evalharness.stack.kernels.op import using

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def compare(
    function: Callable[..., Any], arguments: Sequence[Any], implementation: str, times: float = 2.0, scale: float = 0.0
) -> None:
    """Forward and gradients against the reference in float64, whose error is `times` torch's own at most.

    Tensors of floating numbers that require a gradient get one, as the sum of all outputs that have a gradient, each
    times fixed random numbers. To torch's error one rounding of the largest number is added, of the result or on the
    way to it (`scale`), as a small tensor may be right by luck.
    """
    wide = [part.double() if _floats(part) else part for part in arguments]
    with using("reference"):
        true = with_gradients(function, wide, like=arguments)
    with using("torch"):
        plain = with_gradients(function, arguments, like=arguments)
    with using(implementation):
        found = with_gradients(function, arguments, like=arguments)
    assert len(true) == len(plain) == len(found)
    for number, (exact, usual, ours) in enumerate(zip(true, plain, found, strict=True)):
        assert ours.shape == exact.shape, f"result {number} has the shape {ours.shape}, not {exact.shape}"
        assert ours.dtype == usual.dtype, f"result {number} is of {ours.dtype}, torch's of {usual.dtype}"
        if not exact.is_floating_point():
            assert torch.equal(ours, exact), f"result {number} differs"
        elif exact.numel():
            rounding = torch.finfo(usual.dtype).eps * max(scale, float(exact.abs().max()))
            bound = times * float((usual.double() - exact).abs().max()) + rounding
            error = float((ours.double() - exact).abs().max())
            assert error <= bound, f"result {number}: error {error:.3g} of {implementation}, at most {bound:.3g}"


def with_gradients(
    function: Callable[..., Any], arguments: Sequence[Any], like: Sequence[Any] | None = None
) -> list[Tensor]:
    """The outputs, then the gradients by those arguments that require one (in `like`)."""
    asked = [isinstance(part, Tensor) and part.requires_grad for part in like or arguments]
    given = [part.detach().requires_grad_() if wanted else part for part, wanted in zip(arguments, asked, strict=True)]
    outputs = [leaf for leaf in tree_leaves(function(*given)) if isinstance(leaf, Tensor)]
    random = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=torch.float64, device=DEVICE)
    for output in outputs:
        # Drawn for all, so that each output has the same factors whichever have a gradient; bf16 holds each exactly.
        factors = torch.randint(-8, 9, output.shape, generator=random).to(output) / 8
        if output.requires_grad:
            loss = loss + (output.double() * factors.double()).sum()
    if loss.requires_grad:
        loss.backward()
    gradients = [
        torch.zeros_like(part) if part.grad is None else part.grad
        for part, wanted in zip(given, asked, strict=True)
        if wanted
    ]
    return [output.detach() for output in outputs] + gradients


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0, gradient: bool = True) -> Tensor:
    """Random normal numbers on the device of the tests."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return numbers.to(DEVICE, dtype).requires_grad_(gradient)


class Shapes(TorchDispatchMode):
    """Records the shape of every tensor that an operation of torch makes or is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, made))
        self.seen |= {tuple(leaf.shape) for leaf in leaves if isinstance(leaf, Tensor)}
        return made

    @property
    def largest(self) -> int:
        return max((torch.Size(shape).numel() for shape in self.seen), default=0)


def _floats(part: Any) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point()
