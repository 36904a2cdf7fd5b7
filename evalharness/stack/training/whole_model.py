"""What is alike in the losses of models that `parallel` does not split: an encoder-decoder, and a Mamba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from evalharness.stack.training.model import check_compiled, losses_of
from evalharness.stack.training.optimizers import shrink_gradient
from evalharness.stack.training.products import use_fast_products


class WholeTrainingModel(nn.Module):
    """A model and its loss; the arguments are those of `TrainingModel`, and `_hidden_of` is the subclass's."""

    def __init__(
        self,
        model: nn.Module,
        *,
        z_loss: float = 0.0,
        embedding_gradient: float = 1.0,
        dtype: torch.dtype = torch.float32,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self._z_loss, self._embedding_gradient, self._dtype = z_loss, embedding_gradient, dtype
        self._recompute, self._compiled = recompute, compiled
        if compiled:
            check_compiled()
        else:
            use_fast_products(model)
        self._hidden: Callable[[Any], Tensor] = torch.compile(self._hidden_of) if compiled else self._hidden_of

    def forward(self, batch: Any) -> tuple[Tensor, Tensor]:
        """The sum of the weighted losses, z-loss included, and the sum without it, which has no gradient."""
        with torch.autocast(self.model.device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden_BTW = self._hidden(batch)
            return losses_of(
                hidden_BTW, self.model.head.weight, batch, self._z_loss, self._dtype, compiled=self._compiled
            )

    def _hidden_of(self, batch: Any) -> Tensor:
        """What the vocabulary projection is multiplied by, [B, T, W]."""
        raise NotImplementedError

    def _embedded(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.model.embedding(ids)
        return embedded if self._embedding_gradient == 1.0 else shrink_gradient(embedded, self._embedding_gradient)
