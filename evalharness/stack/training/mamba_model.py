"""What computes the loss of a batch for a Mamba.

Letters in names: B sequences, T tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.training.model import check_compiled, losses_of
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.optimizers import shrink_gradient
from evalharness.stack.training.products import use_fast_products


class MambaTrainingModel(nn.Module):
    """A Mamba and its loss; the arguments are those of `TrainingModel`. Sequences begin with an empty state, and of
    documents in one sequence each goes on from the one before."""

    def __init__(
        self,
        model: Mamba,
        *,
        z_loss: float = 0.0,
        embedding_gradient: float = 1.0,
        dtype: torch.dtype = torch.float32,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._z_loss, self._embedding_gradient, self._dtype = z_loss, embedding_gradient, dtype
        self._run, self._compiled = run_again if recompute else run, compiled
        if compiled:
            check_compiled()
        else:
            use_fast_products(model)
        self._hidden: Callable[[Tensor], Tensor] = torch.compile(self._hidden_of) if compiled else self._hidden_of

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum of the weighted losses, z-loss included, and the sum without it, which has no gradient."""
        head_VW: Tensor = self.model.head.weight  # type: ignore[assignment]
        with torch.autocast(self.model.device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden_BTW = self._hidden(batch.inputs_BT)
            return losses_of(hidden_BTW, head_VW, batch, self._z_loss, self._dtype, compiled=self._compiled)

    def _hidden_of(self, ids_BT: Tensor) -> Tensor:
        embedded_BTW = self.model.embedding(ids_BT)
        if self._embedding_gradient != 1.0:
            embedded_BTW = shrink_gradient(embedded_BTW, self._embedding_gradient)
        return hidden_states(self.model, embedded_BTW, self._run)


RunBlock = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def run(block: nn.Module, x_BTW: Tensor, window_BKE: Tensor, space_BEN: Tensor) -> Tensor:
    """A block's output."""
    return block(x_BTW, window_BKE, space_BEN)[0]  # type: ignore[no-any-return]


def run_again(block: nn.Module, x_BTW: Tensor, window_BKE: Tensor, space_BEN: Tensor) -> Tensor:
    """Keep only the block's input, and compute the block again in the backward pass."""
    found: Tensor = checkpoint(run, block, x_BTW, window_BKE, space_BEN, use_reentrant=False, preserve_rng_state=False)
    return found


def hidden_states(model: Mamba, embedded_BTW: Tensor, run: RunBlock = run) -> Tensor:
    """What the vocabulary projection is multiplied by, [B, T, W]; `run` says how each block is run."""
    blank = model.blank(len(embedded_BTW))
    x_BTW = embedded_BTW.float() if model.config.residual_fp32 else embedded_BTW
    for block, window_BKE, space_BEN in zip(model.blocks, blank.windows_JBKE, blank.spaces_JBEN, strict=True):
        x_BTW = run(block, x_BTW, window_BKE, space_BEN)
    return model.outputs(x_BTW)
