"""What computes the loss of a batch for a Mamba.

Letters in names: B sequences, T tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.whole_model import WholeTrainingModel


class MambaTrainingModel(WholeTrainingModel):
    """A Mamba and its loss. Sequences begin with an empty state, and of documents in one sequence each goes on from the
    one before."""

    def _hidden_of(self, batch: Batch) -> Tensor:
        return hidden_states(self.model, self._embedded(batch.inputs_BT), run_again if self._recompute else run)


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
