"""What changes over the steps of a training: the learning rate, and how many sequences a step takes."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from evalharness.stack.corpus.options import Section
from evalharness.stack.errors import TrainingError


class ScheduleOptions(Section):
    """The learning rate as a share of its peak: it rises in a line, stays or falls by the shape, and ends at the floor.

    With s the step from 0 on, w those of the warm-up and n all of them, the rise is ``(s + 1) / (w + 1)``, so that no
    step is lost to a rate of 0. Then, from 1 to the floor f with a progress p from 0 to 1:

    - ``constant``: 1.
    - ``linear``: ``1 - (1 - f) p`` with ``p = (s - w) / (n - w)``.
    - ``cosine``: ``f + (1 - f) (1 + cos(pi p)) / 2`` with the same p (Loshchilov and Hutter 2016, arXiv 1608.03983).
    - ``wsd``: warm-up, stable, decay (Hu et al. 2024, MiniCPM, arXiv 2404.06395; Hägele et al. 2024, arXiv
      2405.18392): 1 until d steps before the end, then ``f + (1 - f) decay(p)`` with ``p = (s - n + d) / d``.
    """

    shape: Literal["constant", "linear", "cosine", "wsd"] = "cosine"
    warmup: int = Field(default=0, ge=0)
    """Steps of the rise."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak at the end."""
    decay_shape: Literal["linear", "cosine", "sqrt"] | None = None
    """``wsd``: ``1 - p``, ``(1 + cos(pi p)) / 2``, or ``1 - sqrt(p)``, which is taken unless given and which Hägele et
    al. found best."""
    decay_share: float | None = Field(default=None, gt=0, le=1)
    """``wsd``: share of all steps that decay; 0.2 unless this or `decay_steps` is given."""
    decay_steps: int | None = Field(default=None, ge=1)
    """``wsd``: how many steps decay."""

    @model_validator(mode="after")
    def _consistent(self) -> ScheduleOptions:
        for name in ("decay_shape", "decay_share", "decay_steps"):
            if self.shape != "wsd" and getattr(self, name) is not None:
                raise ValueError(f"{name} is for the shape wsd, not for {self.shape}.")
        if self.shape == "constant" and self.floor:
            raise ValueError("floor is for a shape that falls; constant does not.")
        if self.decay_share is not None and self.decay_steps is not None:
            raise ValueError("decay_share and decay_steps say the same; give one of them.")
        return self


def rate_factor(options: ScheduleOptions, step: int, total_steps: int) -> float:
    """Share of the peak rate at a step, which counts from 0; from `total_steps` on what the end is.

    Raises:
        TrainingError: warm-up and decay together are longer than the training.
    """
    warmup, decay = options.warmup, _decay_steps(options, total_steps)
    if warmup + decay > total_steps:
        said = f"{warmup} steps of warmup" + (f" and {decay} of decay" if options.shape == "wsd" else "")
        raise TrainingError(f"schedule: {said} do not fit into a training of {total_steps} steps.")
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if options.shape == "constant":
        return 1.0
    falling = decay if options.shape == "wsd" else total_steps - warmup
    progress = 1.0 if step >= total_steps else max(0.0, (step - total_steps + falling) / falling)
    shape = (options.decay_shape or "sqrt") if options.shape == "wsd" else options.shape
    return options.floor + (1 - options.floor) * _fall(shape, progress)


def _decay_steps(options: ScheduleOptions, total_steps: int) -> int:
    if options.shape != "wsd":
        return 0
    return options.decay_steps or max(1, round((options.decay_share or 0.2) * total_steps))


def _fall(shape: str, progress: float) -> float:
    match shape:
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        case _:
            return 1 - math.sqrt(progress)


class RampOptions(Section):
    """The size of a batch from one step on."""

    from_step: int = Field(ge=1)
    sequences: int = Field(ge=1)


class BatchOptions(Section):
    """How many sequences a step takes, over all ranks and micro-batches.

    Small batches first spare tokens while gradients still agree (Smith et al. 2017, arXiv 1711.00489; GPT-3, Brown et
    al. 2020, arXiv 2005.14165).
    """

    sequences: int = Field(ge=1)
    """From the first step on."""
    micro: int | None = Field(default=None, ge=1)
    """Sequences that a rank computes at once, the gradients of which are added up; all of its share unless given."""
    ramp: tuple[RampOptions, ...] = ()
    """Other sizes from later steps on."""

    @model_validator(mode="after")
    def _ordered(self) -> BatchOptions:
        steps = [stage.from_step for stage in self.ramp]
        if sorted(set(steps)) != steps:
            raise ValueError("ramp: each from_step comes after the one before.")
        return self


def check_batch(options: BatchOptions, ranks: int) -> None:
    """Whether every batch of the ramp gives each rank as many whole micro-batches.

    Raises:
        TrainingError: one does not.
    """
    micro = options.micro or 1
    for sequences in (options.sequences, *(stage.sequences for stage in options.ramp)):
        if sequences % (ranks * micro):
            by = f"{ranks} {'rank' if ranks == 1 else 'ranks'}"
            by += f" x {micro} sequences at once = {ranks * micro}" if options.micro else ""
            raise TrainingError(f"batch: {sequences} sequences do not divide by {by}.")


def sequences_at(options: BatchOptions, step: int) -> int:
    """Sequences of a step, which counts from 0."""
    sizes = [options.sequences, *(stage.sequences for stage in options.ramp if stage.from_step <= step)]
    return sizes[-1]


def sequences_until(options: BatchOptions, steps: int) -> int:
    """Sequences of the first `steps` steps together."""
    begins = [0, *(min(stage.from_step, steps) for stage in options.ramp), steps]
    sizes = [options.sequences, *(stage.sequences for stage in options.ramp)]
    return sum(size * (end - begin) for size, begin, end in zip(sizes, begins, begins[1:], strict=False))
