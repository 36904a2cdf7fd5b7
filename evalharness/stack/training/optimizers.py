"""Optimizers by name, as torch has them, and what is done to gradients on their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from evalharness.stack.errors import TrainingError
from evalharness.stack.kernels.adamw import OP as ADAMW
from evalharness.stack.training.adamw import AdamW
from evalharness.stack.training.groups import OptimizerName, OptimizerRule, group_parameters

CLASSES: dict[OptimizerName, str] = {"adamw": "AdamW", "adam": "Adam", "adafactor": "Adafactor", "muon": "Muon"}
"""Names in `torch.optim`."""


def make_optimizers(
    named_parameters: Iterable[tuple[str, Tensor]], rules: Sequence[OptimizerRule], *, some: bool = False
) -> list[Optimizer]:
    """An optimizer for each rule, in the order of the rules; their groups know the names (`param_names`).

    Each group has the rate at the peak of the schedule as `base_rate`.

    Raises:
        TrainingError: rules and parameters do not go together (`group_parameters`), or this torch has no Muon.
    """
    named = group_parameters(named_parameters, rules, some=some)
    return [_optimizer(rule, parameters) for rule, parameters in zip(rules, named, strict=True)]


def set_rates(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Let every group learn at `factor` times its rate at the peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor


def shrink_gradient(x: Tensor, alpha: float) -> Tensor:
    """x itself, to the bit, through which alpha times the gradient flows: ``alpha x + (1 - alpha) detached(x)``.

    For the output of the embedding, whose gradients grow before the loss does (GLM-130B, Zeng et al. 2022, arXiv
    2210.02414, section 2.3, with alpha 0.1). A head that is tied to the embedding keeps its own gradient.
    """
    return torch.lerp(x.detach(), x, alpha)


def _optimizer(rule: OptimizerRule, named_parameters: list[tuple[str, Tensor]]) -> Optimizer:
    found = getattr(torch.optim, CLASSES[rule.name], None)
    if found is None:
        raise TrainingError(f"optimizer: {rule.name} needs torch 2.9 or newer; this is torch {torch.__version__}.")
    arguments = _arguments(rule)
    devices = {parameter.device.type for _, parameter in named_parameters}
    if rule.name in ("adamw", "adam") and devices <= {"cpu", "cuda"}:
        arguments["fused"] = True
        if rule.name == "adamw" and named_parameters and ADAMW.chosen(named_parameters[0][1]) != "torch":
            found = AdamW
    group = {"params": named_parameters, "base_rate": rule.rate}
    optimizer: Optimizer = found([group], lr=rule.rate, **arguments)
    return optimizer


def _arguments(rule: OptimizerRule) -> dict[str, Any]:
    """The rule's options by the names that torch gives them."""
    options = rule.options()
    match rule.name:
        case "adamw" | "adam":
            options["eps"] = options.pop("epsilon")
        case "adafactor":
            options["beta2_decay"] = -options.pop("decay_power")
            options["d"] = options.pop("update_clip")
            options["eps"] = (None, options.pop("least_scale"))
        case "muon":
            options["eps"] = options.pop("epsilon")
            options["ns_steps"] = options.pop("newton_schulz_steps")
            options["adjust_lr_fn"] = options.pop("rate_adjustment")
    return options
