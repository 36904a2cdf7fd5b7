"""Weights that the stack makes small as it reads them: what is refused, and what tells a model with them apart."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, cast

from evalharness.errors import UsageError, nearest

if TYPE_CHECKING:
    from evalharness.stack.checkpoints.load import Checkpoint
    from evalharness.stack.config import ModelConfig
    from evalharness.stack.quantization.kinds import Weights


STORED = "stored"
"""The word for weights as they are in the file, in place of a baseline's."""


def small_weights(asked: str | None, checkpoint: Checkpoint, device: str, *, exact: bool) -> Weights | None:
    """The weights that are asked for, of a model that the engine serves; None for those that are stored.

    Raises:
        UsageError: there are none of this name, or this model or arithmetic cannot have them.
    """
    if asked is None or asked == STORED:
        return None
    from evalharness.stack.quantization.kinds import GROUP, WEIGHTS, undivided

    weights = next((each for each in WEIGHTS if each == asked), None)
    if weights is None:
        raise UsageError(f"--weights {asked}: no such weights; {nearest(asked, (*WEIGHTS, STORED))}")
    if exact and device.partition(":")[0] != "cpu":
        raise UsageError(
            f"--weights {weights} on {device}: its products there have other bits with other rows beside a row; leave "
            "--numerics exact out, or say fast."
        )
    width = undivided(cast("ModelConfig", checkpoint.config)) if weights == "int4" else None
    if width is not None:
        raise UsageError(
            f"--weights int4: {checkpoint.name} has products of {width} inputs, which groups of {GROUP} do not divide; "
            "int8 takes any number."
        )
    return weights


def with_weights(fingerprint: str, weights: Weights | None) -> str:
    """The fingerprint of a model whose weights were made small."""
    return fingerprint if weights is None else sha256(f"{fingerprint}\nweights: {weights}".encode()).hexdigest()
