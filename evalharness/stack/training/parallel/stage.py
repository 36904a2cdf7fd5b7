"""The part of a model that one process of a pipeline has: some of the blocks, and what lies before or behind them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch

BEFORE = ("embedding", "embedding_in", "embedding_norm")
BEHIND = ("norm", "embedding_out", "head")
"""Modules of a `Decoder` before its blocks and behind them."""


def check_stages(config: ModelConfig, count: int, balance_loss: float) -> None:
    """Raises:
    TrainingError: a model like that cannot be a pipeline of so many stages.
    """
    if config.layers < count:
        raise TrainingError(f"parallel.pipeline: {config.layers} blocks do not make {count} stages; take fewer stages.")
    if config.tied_embeddings:
        raise TrainingError(
            "parallel.pipeline: the embedding, which the first stage has, is also the head, which the last stage has; "
            "set model.tied_embeddings: false, or pipeline: 1."
        )
    if config.experts is not None and balance_loss:
        raise TrainingError(
            "parallel.pipeline: the balance of the experts is not added up over stages; set balance_loss: 0, or "
            "pipeline: 1."
        )


def blocks_of(stage: int, count: int, layers: int) -> range:
    """The numbers of a stage's blocks; earlier stages have the more where it does not come out even."""
    each, more = divmod(layers, count)
    begin = stage * each + min(stage, more)
    return range(begin, begin + each + (stage < more))


def keep_stage(decoder: Decoder, stage: int, count: int) -> None:
    """Leave of a decoder what a stage needs, in place; names of parameters stay."""
    own = blocks_of(stage, count, len(decoder.blocks))
    for number in range(len(decoder.blocks)):
        if number not in own:
            delattr(decoder.blocks, str(number))
    if stage > 0:
        for name in BEFORE:
            setattr(decoder, name, nn.Identity())
        for name in [name for name, _ in decoder.positions.named_parameters()]:
            delattr(decoder.positions, name)
        # What comes in has its positions already.
        decoder.positions.embedded = _as_it_is  # type: ignore[method-assign]
    if stage < count - 1:
        for name in BEHIND:
            setattr(decoder, name, nn.Identity())


def _as_it_is(x_TW: Tensor, positions_T: Tensor) -> Tensor:
    return x_TW


class Stage(nn.Module):
    """Computes its part for the batches that it was given, one after another.

    Args:
        model: of a decoder of which `keep_stage` has left this stage.
    """

    def __init__(self, model: TrainingModel, device: torch.device, *, first: bool, last: bool) -> None:
        super().__init__()
        self.model, self.first, self.last = model, first, last
        self.plain: list[Tensor] = []
        """Of the last stage: of each batch the sum of the losses that is told."""
        self._device = device
        self._batches: Sequence[Batch] = ()

    def begin(self, batches: Sequence[Batch]) -> None:
        """Take the batches of the next passes, which are then computed in this order."""
        self._batches = batches
        self.plain = []
        self._taken = 0

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Hidden states for the next stage; of the last one the sum of the losses, of shape [1]. `x_BTW` is what the
        stage before gave; the first stage looks at its batch alone."""
        batch = self._batches[self._taken]
        self._taken += 1
        with self.model.arithmetic(self._device):
            if self.first:
                x_BTW = self.model.embedded(batch)
            x_BTW = self.model.stream(x_BTW, batch)
            if not self.last:
                return x_BTW.float()
            losses, plain = self.model.losses(self.model.decoder.outputs(x_BTW), batch)
        self.plain.append(plain)
        return torch.stack([losses])
