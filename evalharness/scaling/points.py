"""What a scaling law is fitted to: trainings, each with its size, its data and the loss that it ended with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalharness.errors import DataError

Floats = NDArray[np.float64]
FORWARD_AND_BACKWARD = 6.0
"""Operations of a training for each parameter and token: ``C = 6 N D`` (Kaplan et al. 2020, arXiv 2001.08361, 2.1)."""


@dataclass(frozen=True, slots=True)
class TaskScore:
    """What the last checkpoint of a training scored."""

    value: float
    low: float | None = None
    high: float | None = None
    samples: int = 0
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """One training at its end."""

    name: str
    parameters: float
    """N."""
    tokens: float
    """D: tokens that it was trained on, those seen twice counted twice."""
    compute: float
    """C: operations."""
    loss: float
    """L: mean negative log-likelihood of a token, in nats."""
    curve: tuple[tuple[float, float], ...] = ()
    """Tokens so far and loss, as it trained."""
    scores: Mapping[tuple[str, str], TaskScore] = field(default_factory=dict)
    """By task and metric."""

    def __post_init__(self) -> None:
        if math.isnan(self.loss) or math.isinf(self.loss):
            raise DataError(f"{self.name}: its loss is {self.loss}: the training diverged; leave it out.")
        for what in ("parameters", "tokens", "compute", "loss"):
            value = getattr(self, what)
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"{self.name}: {what} is {value}; it must be a number above 0.")


@dataclass(frozen=True, slots=True)
class Logs:
    """Natural logarithms of points, R of them."""

    parameters_R: Floats
    tokens_R: Floats
    compute_R: Floats
    loss_R: Floats

    @classmethod
    def of(cls, points: Sequence[ScalingPoint]) -> Logs:
        rows = [(point.parameters, point.tokens, point.compute, point.loss) for point in points]
        return cls(*np.log(np.array(rows, dtype=np.float64).reshape(-1, 4)).T)

    def take(self, places: NDArray[np.intp]) -> Logs:
        """Those at these places, some more than once."""
        return Logs(self.parameters_R[places], self.tokens_R[places], self.compute_R[places], self.loss_R[places])


def frontier(xs: Sequence[float], losses: Sequence[float]) -> list[int]:
    """Places of the points whose loss no point at the same x or a lower one reaches, by x.

    >>> frontier([1, 2, 3, 4], [4.0, 4.5, 3.0, 2.0])
    [0, 2, 3]
    """
    found: list[int] = []
    for place in sorted(range(len(xs)), key=lambda place: (xs[place], losses[place])):
        if not found or losses[place] < losses[found[-1]]:
            found.append(place)
    return found
