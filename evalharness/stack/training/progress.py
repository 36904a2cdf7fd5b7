"""How far a training has come: all that decides what it does next, besides weights, optimizers and random numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.training.spikes import SpikeDetector, SpikeOptions
from evalharness.stack.training.step import Gradients


@dataclass(slots=True)
class Window:
    """What has happened since the last line of the log."""

    losses: list[float] = field(default_factory=list)
    norm: float = 0.0
    """The greatest one."""
    tokens: int = 0
    seconds: float = 0.0
    measures: list[list[float]] = field(default_factory=list)
    """Of each step, what the model says besides the loss."""

    def add(self, gradients: Gradients, tokens: int, seconds: float) -> None:
        self.losses.append(gradients.loss)
        self.measures.append(list(gradients.measures))
        self.norm = max(self.norm, gradients.norm)
        self.tokens += tokens
        self.seconds += seconds


@dataclass(slots=True)
class Progress:
    """At the end of a step."""

    detector: SpikeDetector | None = None
    step: int = 0
    """Steps done."""
    cursor: Cursor = field(default_factory=Cursor)
    tokens: int = 0
    """Read by the steps, those that were gone back on left out."""
    seconds: float = 0.0
    """That the logged steps took."""
    loss: float = math.nan
    """Of the last step."""
    rewinds: int = 0
    window: Window = field(default_factory=Window)

    @classmethod
    def at_start(cls, spikes: SpikeOptions | None) -> Progress:
        return cls(SpikeDetector(spikes) if spikes else None)

    def to_json(self) -> dict[str, Any]:
        """Values that JSON keeps exactly."""
        window = self.window
        return {
            "step": self.step,
            "cursor": self.cursor.to_json(),
            "tokens": self.tokens,
            "seconds": self.seconds,
            "loss": self.loss,
            "rewinds": self.rewinds,
            "window": [window.losses[:], window.norm, window.tokens, window.seconds, window.measures[:]],
            "detector": self.detector.to_json() if self.detector else None,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], spikes: SpikeOptions | None) -> Progress:
        return cls(
            SpikeDetector.from_json(spikes, values["detector"]) if spikes else None,
            values["step"],
            Cursor.from_json(values["cursor"]),
            values["tokens"],
            values["seconds"],
            values["loss"],
            values["rewinds"],
            Window(*values["window"]),
        )
