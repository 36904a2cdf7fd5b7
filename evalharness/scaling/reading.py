"""From folders of trainings, and tables, to the points that a law is fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import DataError, UsageError
from evalharness.report.training_log import TrainingLog, is_training, read_training, smoothed
from evalharness.scaling.points import FORWARD_AND_BACKWARD, ScalingPoint, TaskScore
from evalharness.scaling.tables import ENDINGS, read_table


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Of a training's model."""

    parameters: int
    non_embedding: int
    """Without the embeddings of tokens and positions, and without the head."""
    operations: int | None
    """For a token, forward and backward; None where the model alone does not determine them."""


SizeOf = Callable[[Mapping[str, Any], int], ModelSize]
"""From a training's ``config.json`` and its context to the size of its model."""
Counting = Literal["all", "non-embedding"]
Operations = Literal["6nd", "recorded"]
Loss = Literal["validation", "training"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read as N, C and L."""

    parameters: Counting = "all"
    operations: Operations = "6nd"
    """6 N D, or of a training what its model computes: every product of matrices, the head's and attention's included;
    of a table its column ``compute``."""
    loss: Loss = "validation"
    """The last validation's, or the training's own, smoothed."""


def read_points(sources: Sequence[Path], size_of: SizeOf, how: Reading) -> list[ScalingPoint]:
    """The points of folders that `evalharness pretrain` wrote, and of tables.

    Raises:
        UsageError: a source is neither, or given twice.
        DataError: a training is not at its end, has no loss, or has diverged; a table is damaged.
    """
    seen = [source.resolve() for source in sources]
    found: list[ScalingPoint] = []
    for source in sources:
        if seen.count(source.resolve()) > 1:
            raise UsageError(f"{source}: given twice; a run counts once.")
        if is_training(source):
            found.append(_of_training(read_training(source), size_of, how))
        elif source.suffix in ENDINGS:
            found += read_table(
                source, non_embedding=how.parameters == "non-embedding", recorded=how.operations == "recorded"
            )
        else:
            raise UsageError(
                f"{source}: neither the folder of a training (`evalharness pretrain`) nor a table "
                f"({', '.join(ENDINGS)})."
            )
    return found


def _of_training(training: TrainingLog, size_of: SizeOf, how: Reading) -> ScalingPoint:
    size = _size(training, size_of)
    counted = size.parameters if how.parameters == "all" else size.non_embedding
    tokens = training.points("tokens")
    _require_end(training)
    value = _loss(training, how.loss)
    if not tokens:
        raise DataError(f"{training.folder}: no step is logged, so nothing is known of its tokens.")
    per_token = FORWARD_AND_BACKWARD * counted if how.operations == "6nd" else _operations(training, size)
    return ScalingPoint(
        name=training.name,
        parameters=counted,
        tokens=tokens[-1].y,
        compute=per_token * tokens[-1].y,
        loss=value,
        curve=_curve(training),
        scores=_scores(training),
    )


def _size(training: TrainingLog, size_of: SizeOf) -> ModelSize:
    context = training.asked.get("options", {}).get("data", {}).get("context")
    model = training.asked.get("model")
    if not isinstance(context, int) or not isinstance(model, dict):
        raise DataError(f"{training.folder}: its run.json does not say the model and the context of its data.")
    return size_of(model, context)


def _operations(training: TrainingLog, size: ModelSize) -> int:
    """For a token, as the training wrote them down; those before it did are counted on its model."""
    told = training.asked.get("operations_per_token", size.operations)
    if not isinstance(told, int):
        raise DataError(
            f"{training.folder}: its run.json does not say how many operations a token took; take --operations 6nd."
        )
    return told


def _loss(training: TrainingLog, wanted: Loss) -> float:
    """Of the last step.

    Raises:
        DataError: there is none.
    """
    if wanted == "validation":
        validated = training.points("validation_loss")
        steps = training.points("loss")
        if not validated or (steps and validated[-1].x < steps[-1].x):
            raise DataError(
                f"{training.folder}: no validation loss at its end; hold data out (data.validation), or take the "
                "training's own with --loss training."
            )
        return validated[-1].y
    logged = training.points("loss")
    if not logged:
        raise DataError(f"{training.folder}: no loss is logged.")
    # A mean over what is finite would hide that the training has diverged.
    if not math.isfinite(logged[-1].y):
        return logged[-1].y
    return (smoothed(logged) or logged)[-1].y


def _require_end(training: TrainingLog) -> None:
    """Raises:
    DataError: it ended before its schedule did, so that its loss is above what its tokens allow.
    """
    wanted = training.asked.get("options", {}).get("steps")
    done = training.rows[-1]["step"] if training.rows else 0
    if isinstance(wanted, int) and done < wanted:
        raise DataError(
            f"{training.folder}: at step {done:,} of {wanted:,}, before its schedule ends; train it to its end, or "
            "leave it out."
        )


def _curve(training: TrainingLog) -> tuple[tuple[float, float], ...]:
    """The training's own loss over its tokens, smoothed where it is long enough."""
    losses = training.points("loss")
    tokens = {point.x: point.y for point in training.points("tokens")}
    return tuple((tokens[point.x], point.y) for point in smoothed(losses) or losses if point.x in tokens)


def _scores(training: TrainingLog) -> dict[tuple[str, str], TaskScore]:
    """Of the last checkpoint that was evaluated."""
    found = {}
    for key, scored in training.scores().items():
        if scored.points and math.isfinite(scored.points[-1].y):
            last = scored.points[-1]
            found[key] = TaskScore(last.y, last.low, last.high, scored.samples[-1], scored.chance)
    return found
