"""The whole of a pretraining, from its options to its end; imported where torch may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evalharness.stack.training.loop import Evaluator, Event, Loop, Outcome
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.processes import Processes, processes
from evalharness.stack.training.setup import Training


def pretrain(
    options: PretrainOptions,
    base: Path,
    *,
    evaluator: Evaluator | None = None,
    start: int | None = None,
    tell: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Train a model, or go on with a training that was stopped.

    Args:
        base: the folder that paths start at.
        start: the step of the checkpoint to go on from; the newest one unless given.
        tell: hears every line of the log, in the first process.

    Raises:
        TrainingError, CheckpointError, CorpusError: one sentence; the checkpoints that were written are whole.
    """
    with processes(options.compute.device, options.parallel) as here:
        # Nothing but this call holds the training, which has to be gone before its processes part.
        return Loop(_training(options, base, here), evaluator, tell).run(start)


def _training(options: PretrainOptions, base: Path, here: Processes) -> Training:
    if here.mesh is None:
        return Training(options, base, here)
    # It imports torch's parts for that, 2 s.
    from evalharness.stack.training.parallel.training import SplitTraining

    return SplitTraining(options, base, here)
