"""AdamW whose steps are those of the op `adamw`, for where that is not torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.kernels.adamw import adamw


class AdamW(torch.optim.AdamW):
    """torch's optimizer with its options, its state and its name, so that each goes on from a checkpoint of the other;
    ``amsgrad`` and ``maximize`` are not for it."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for step, parameters, states in self._by_step(group):
                adamw(
                    parameters,
                    [parameter.grad for parameter in parameters],  # type: ignore[misc]
                    [state["exp_avg"] for state in states],
                    [state["exp_avg_sq"] for state in states],
                    step=step,
                    rate=group["lr"],
                    betas=group["betas"],
                    epsilon=group["eps"],
                    decay=group["weight_decay"],
                )
        return loss

    def _by_step(self, group: Mapping[str, Any]) -> Iterator[tuple[int, list[Tensor], list[dict[str, Tensor]]]]:
        """The parameters with a gradient and their states, by the number of the step that they are about to take: one
        that had no gradient in a step did not take it."""
        moved = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not moved:
            return
        states: list[dict[str, Tensor]] = [self.state[parameter] for parameter in moved]
        for parameter, state in zip(moved, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        counts = [state["step"] for state in states]
        torch._foreach_add_(counts, 1)
        steps = torch.stack(counts).tolist()  # all at once, as a GPU is waited for each time
        for step in sorted(set(steps)):
            here = [place for place, each in enumerate(steps) if each == step]
            yield int(step), [moved[place] for place in here], [states[place] for place in here]
