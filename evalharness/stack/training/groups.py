"""Which optimizer takes which parameter: rules, of which the first that matches decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from evalharness.stack.corpus.options import Section
from evalharness.stack.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["matrix", "vector", "embedding"]
OptimizerName = Literal["adamw", "adam", "adafactor", "muon"]

TAKEN: dict[OptimizerName, dict[str, Any]] = {
    "adamw": {"weight_decay": 0.0, "betas": (0.9, 0.95), "epsilon": 1e-8},
    "adam": {"weight_decay": 0.0, "betas": (0.9, 0.95), "epsilon": 1e-8},
    "adafactor": {"weight_decay": 0.0, "decay_power": 0.8, "update_clip": 1.0, "least_scale": 1e-3},
    "muon": {
        "weight_decay": 0.0,
        "momentum": 0.95,
        "nesterov": True,
        "newton_schulz_steps": 5,
        "rate_adjustment": "match_rms_adamw",
        "epsilon": 1e-7,
    },
}
"""Options that each optimizer takes besides `rate`, with what they are unless given."""

TABLES = ("embedding", "positions", "head")
"""Modules of a `Decoder` with a row for each token or position."""


class OptimizerRule(Section):
    """An optimizer, and the parameters that it takes of those that no rule before it has taken.

    With g the gradient, p the parameter, r the rate at this step, t the step from 1 on:

    - ``adamw`` (Loshchilov and Hutter 2017, arXiv 1711.05101): ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``,
      ``p = (1 - r * weight_decay) p - r * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)``.
    - ``adam`` (Kingma and Ba 2014, arXiv 1412.6980): the same, but the decay is added to the gradient:
      ``g + weight_decay * p``.
    - ``adafactor`` (Shazeer and Stern 2018, arXiv 1804.04235): as Adam without m, where v of a matrix is kept as the
      means of its rows and columns, ``v_ij = row_i column_j / mean(row)``; steps are relative to the parameter:
      ``p = (1 - r * weight_decay) p - max(least_scale, rms(p)) * min(r, 1 / sqrt(t)) * u / max(1, rms(u) /
      update_clip)`` with ``u = g / sqrt(v)``.
    - ``muon`` (Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv 2502.16982): ``m = b m +
      (1 - b) g``, ``p = (1 - r * weight_decay) p - r * adjusted * orthogonal(m)``: the nearest matrix to m whose
      singular values are all about 1. For matrices only, neither embedding nor head.
    """

    match: str = Field(default="*", min_length=1)
    """Pattern of parameters' names, such as ``blocks.*`` or ``*.attention.*``; ``*`` stands for any characters."""
    kind: Literal["any"] | Kind = "any"
    """Of those, which: ``embedding`` is what has a row for each token or position, the head included; ``vector`` is
    norms and biases; ``matrix`` is the rest."""
    name: OptimizerName = "adamw"
    rate: float = Field(gt=0, allow_inf_nan=False)
    """Learning rate at the peak of the schedule."""
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """0 unless given."""
    betas: tuple[float, float] | None = None
    """``adamw``, ``adam``: decay of the means of the gradient and of its square; 0.9 and 0.95 unless given."""
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """``adamw``, ``adam``: added to the root of the mean square, 1e-8 unless given. ``muon``: least norm that a
    gradient is divided by, 1e-7 unless given."""
    decay_power: float | None = Field(default=None, gt=0, le=1)
    """``adafactor``: the mean of squares decays by ``1 - t^-power``; 0.8 unless given."""
    update_clip: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """``adafactor``: greatest root mean square of an update; 1 unless given."""
    least_scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """``adafactor``: a parameter that is smaller moves as if it were this large; 1e-3 unless given."""
    momentum: float | None = Field(default=None, ge=0, lt=1)
    """``muon``: b above; 0.95 unless given."""
    nesterov: bool | None = None
    """``muon``: whether the mean that is made orthogonal runs a step ahead, ``b m + (1 - b) g``; true unless given."""
    newton_schulz_steps: int | None = Field(default=None, ge=1, le=99)
    """``muon``: steps of the iteration ``X = a X + b (X X^T) X + c (X X^T)^2 X`` that makes a matrix orthogonal; 5
    unless given."""
    rate_adjustment: Literal["original", "match_rms_adamw"] | None = None
    """``muon``: by what the rate is multiplied for a matrix of R rows and C columns: ``sqrt(max(1, R / C))``, or ``0.2
    sqrt(max(R, C))``, with which updates are as large as AdamW's and take its rates; the latter unless given."""

    @model_validator(mode="after")
    def _known(self) -> OptimizerRule:
        taken = TAKEN[self.name]
        given = [name for name in type(self).model_fields if name not in ("match", "kind", "name", "rate")]
        for name in given:
            if name not in taken and getattr(self, name) is not None:
                raise ValueError(f"{self.name} takes no {name}; it takes: rate, {', '.join(taken)}.")
        if self.betas is not None and not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are from 0 to below 1, not {self.betas[0]} and {self.betas[1]}.")
        return self

    def options(self) -> dict[str, Any]:
        """Every option that the optimizer takes besides the rate, as given or by itself."""
        given = {name: getattr(self, name) for name in TAKEN[self.name]}
        return TAKEN[self.name] | {name: value for name, value in given.items() if value is not None}

    def takes(self, name: str, parameter: Tensor) -> bool:
        """Whether the rule matches a parameter of this name."""
        return fnmatchcase(name, self.match) and self.kind in ("any", kind_of(name, parameter))


DEFAULT_RULES = (
    OptimizerRule(kind="matrix", rate=3e-4, weight_decay=0.1),
    OptimizerRule(rate=3e-4),
)
"""AdamW with the betas of GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix B); only matrices decay."""


def kind_of(name: str, parameter: Tensor) -> Kind:
    """What a parameter is, by its name and number of axes; a Mamba's A is no matrix that vectors are multiplied by."""
    if parameter.dim() < 2 or name.endswith("A_log"):
        return "vector"
    return "embedding" if set(name.split(".")) & set(TABLES) else "matrix"


def group_parameters(
    named_parameters: Iterable[tuple[str, Tensor]], rules: Sequence[OptimizerRule], *, some: bool = False
) -> list[list[tuple[str, Tensor]]]:
    """The parameters that learn, of each rule. One that is used in two places counts under its first name.

    Args:
        some: whether these are some of a model's parameters only, so that none may be left for a rule.

    Raises:
        TrainingError: no rule matches a parameter; no parameter is left for a rule; Muon would get other than a matrix.
    """
    groups: list[list[tuple[str, Tensor]]] = [[] for _ in rules]
    seen: set[int] = set()
    for name, parameter in named_parameters:
        if id(parameter) in seen or not parameter.requires_grad:
            continue
        seen.add(id(parameter))
        place = next((place for place, rule in enumerate(rules) if rule.takes(name, parameter)), None)
        if place is None:
            kind = kind_of(name, parameter)
            raise TrainingError(f"optimizer: no rule matches the parameter '{name}' ({kind}); add one at the end.")
        groups[place].append((name, parameter))
    for rule, group, place in zip(rules, groups, range(1, len(rules) + 1), strict=True):
        said = f"optimizer: rule {place} ({rule.name}, match '{rule.match}', kind {rule.kind})"
        if not group and not some:
            raise TrainingError(f"{said} matches no parameter that the rules before it leave.")
        for name, parameter in group if rule.name == "muon" else ():
            if kind_of(name, parameter) != "matrix" or parameter.dim() != 2:
                raise TrainingError(
                    f"{said} would take '{name}', but muon is for matrices that are neither embedding nor head: give "
                    f"it kind matrix, and the rest to another rule."
                )
    return groups
