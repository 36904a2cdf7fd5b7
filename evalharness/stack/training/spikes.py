"""Loss spikes, told from noise while a training runs.

A training whose loss jumps goes back to a checkpoint from before and leaves out the batches that it met there, as PaLM
did (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1: about 100 steps back, 200 to 500 batches left out). Here is
said when; going back is the loop's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from pydantic import Field

from evalharness.stack.corpus.options import Section

NORMAL = 1.4826
"""Standard deviation of normal noise whose median absolute deviation is 1."""


class SpikeOptions(Section):
    """When the loss has a spike: it lies above the median of the last steps by `threshold` of their deviations and by
    the share `rise`, for `patience` steps on end; or that median itself has come to lie so far above its lowest, which
    finds a rise that is too slow for the first rule.

    The deviation is 1.4826 times the median absolute one, which spikes themselves hardly change. A loss or gradient
    that is no finite number is a spike at once. A corpus that turns to much harder texts looks the same: allow for it
    by `rise`.
    """

    window: int = Field(default=128, ge=8)
    """Steps whose median and deviation the next ones are compared with."""
    threshold: float = Field(default=6.0, gt=0, allow_inf_nan=False)
    """In deviations."""
    rise: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """Least rise as a share of the median."""
    patience: int = Field(default=3, ge=1)
    """Steps on end. One batch of hard texts is no spike: the next step is as before."""
    gradient_threshold: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The same for the logarithm of the gradient's norm, in its own deviations; norms only have to be finite unless
    given."""
    warmup: int = Field(default=200, ge=0)
    """First steps, in which only what is no finite number is a spike."""
    skip: int = Field(default=0, ge=0)
    """Batches that are left out after going back, besides those between the checkpoint and the step where the spike was
    found."""
    most: int = Field(default=3, ge=0)
    """How often a training goes back before it fails."""


@dataclass(frozen=True, slots=True)
class Spike:
    """What a detector found."""

    step: int
    """When it was found."""
    since: int
    """The first step that belongs to it; of a slow rise, about. Checkpoints that were written before this step was
    done are clean."""
    reason: str
    """What was seen, as a part of a sentence."""


class _Lowest(NamedTuple):
    """The lowest median so far."""

    level: float
    deviation: float


class SpikeDetector:
    """Watches losses and gradients step by step. Its state belongs into checkpoints, as it goes back with them."""

    def __init__(self, options: SpikeOptions) -> None:
        self._options = options
        self._losses: deque[float] = deque(maxlen=options.window)
        self._norms: deque[float] = deque(maxlen=options.window)
        self._above = 0
        self._lowest: _Lowest | None = None
        self._calm = 0

    def observe(self, step: int, loss: float, gradient_norm: float) -> Spike | None:
        """What a step says: its mean loss, and the norm of its gradient before clipping."""
        for name, value in (("loss", loss), ("gradient's norm", gradient_norm)):
            if not math.isfinite(value):
                return Spike(step, step, f"the {name} is {value}")
        norm = math.log(max(gradient_norm, 1e-30))
        looks = step >= self._options.warmup and len(self._losses) == self._options.window
        found = self._look(step, loss, norm) if looks else None
        self._losses.append(loss)
        self._norms.append(norm)
        return found

    def to_json(self) -> dict[str, Any]:
        """The state, which JSON keeps exactly."""
        return {
            "losses": list(self._losses),
            "norms": list(self._norms),
            "above": self._above,
            "lowest": None if self._lowest is None else list(self._lowest),
            "calm": self._calm,
        }

    @classmethod
    def from_json(cls, options: SpikeOptions, values: Mapping[str, Any]) -> SpikeDetector:
        """A detector that goes on from a state; with another window, from as much of it as fits."""
        detector = cls(options)
        detector._losses.extend(values["losses"])
        detector._norms.extend(values["norms"])
        detector._above, detector._calm = int(values["above"]), int(values["calm"])
        detector._lowest = None if values["lowest"] is None else _Lowest(*values["lowest"])
        return detector

    def _look(self, step: int, loss: float, norm: float) -> Spike | None:
        options = self._options
        level, deviation = _level(self._losses)
        reason = None
        if loss - level > self._bound(level, deviation):
            reason = f"the loss {loss:.4g} is far above {level:.4g}, the median of {options.window} steps before"
        elif options.gradient_threshold is not None:
            usual, spread = _level(self._norms)
            if norm - usual > max(options.gradient_threshold * spread, math.log1p(options.rise)):
                reason = f"the gradient's norm {math.exp(norm):.4g} is far above {math.exp(usual):.4g}, its median"
        self._above = self._above + 1 if reason else 0
        if reason and self._above >= options.patience:
            return Spike(step, step - max(self._above - 1, self._high(level + deviation)), reason)
        return self._look_back(step, level, deviation)

    def _look_back(self, step: int, level: float, deviation: float) -> Spike | None:
        if self._lowest is None or level < self._lowest.level:
            self._lowest = _Lowest(level, deviation)
        lowest = self._lowest
        if level <= lowest.level + lowest.deviation:
            self._calm = step
        if level - lowest.level <= self._bound(*lowest):
            return None
        # The median follows the loss by half a window.
        since = max(0, self._calm - self._options.window // 2)
        return Spike(step, since, f"the median loss has risen to {level:.4g} from {lowest.level:.4g}")

    def _high(self, level: float) -> int:
        """How many of the last losses, without one between them, are above a level."""
        return next((place for place, loss in enumerate(reversed(self._losses)) if loss <= level), len(self._losses))

    def _bound(self, level: float, deviation: float) -> float:
        return max(self._options.threshold * deviation, self._options.rise * abs(level))


def _level(values: Iterable[float]) -> tuple[float, float]:
    """Median, and deviation of normal noise with the same median absolute deviation."""
    kept = list(values)
    middle = median(kept)
    return middle, NORMAL * median(abs(value - middle) for value in kept)
