"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).

With y_w and y_l the chosen and the rejected answer of a pair, and log p(y) the sum of the log-probabilities of an
answer's tokens:

    D = (log p(y_w) - log p_ref(y_w)) - (log p(y_l) - log p_ref(y_l))
    loss = -(1 - s) log sigmoid(beta D) - s log sigmoid(-beta D)

s is the label smoothing of cDPO (Mitchell 2023, ericmitchell.ai/cdpo.pdf). With D = 0, where a training begins, the
loss is log 2 whatever beta and s are. Letters in names: P pairs, B sequences, R learned tokens, W width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from evalharness.stack.adaptation.batches import PreferenceBatch
from evalharness.stack.kernels.linear_cross_entropy import rows_at_once
from evalharness.stack.layers.lora import effective_weight
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.products import linear

MEASURES = ("accuracy", "margin", "chosen_log_probability", "rejected_log_probability")
"""Means over pairs: whether beta D is above 0, beta D, and log p of both answers."""


def dpo_losses(difference_P: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """The loss of each pair, of its D."""
    agree, disagree = F.logsigmoid(beta * difference_P), F.logsigmoid(-beta * difference_P)
    return -(1 - label_smoothing) * agree - label_smoothing * disagree


class PreferenceModel(nn.Module):
    """A decoder and the loss of pairs of answers; a module, since data parallelism wraps modules."""

    def __init__(self, inner: TrainingModel, beta: float, label_smoothing: float) -> None:
        super().__init__()
        self.inner = inner
        self._beta, self._label_smoothing = beta, label_smoothing

    def forward(self, batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
        """The sum of the losses, and without a gradient the sums of the losses and of `MEASURES`."""
        log_2P = self.log_probabilities(batch.sequences)
        chosen_P, rejected_P = (log_2P - batch.reference_2P).chunk(2)
        difference_P = chosen_P - rejected_P
        losses_P = dpo_losses(difference_P, self._beta, self._label_smoothing)
        with torch.no_grad():
            chosen, rejected = log_2P.chunk(2)
            right = (difference_P > 0).float()
            told = torch.stack([part.sum() for part in (losses_P, right, self._beta * difference_P, chosen, rejected)])
        return losses_P.sum(), told

    def log_probabilities(self, batch: Batch) -> Tensor:
        """Of each sequence, the sum over the tokens that are learned: fp32, [B]."""
        decoder = self.inner.decoder
        with self.inner.arithmetic(decoder.device):
            hidden_BTW = self.inner.hidden(batch)
        rows_R, places_R = batch.weights_BT.nonzero(as_tuple=True)
        with torch.autocast(decoder.device.type, enabled=False):
            log_R = token_log_probabilities(
                hidden_BTW[rows_R, places_R].float(),
                effective_weight(decoder.head),  # type: ignore[arg-type]
                batch.targets_BT[rows_R, places_R],
            )
        return log_R.new_zeros(len(batch.inputs_BT)).index_add(0, rows_R, log_R)


def token_log_probabilities(hidden_RW: Tensor, weight_VW: Tensor, targets_R: Tensor) -> Tensor:
    """``log softmax(h W^T)`` of each row's target; the logits of so many rows as `linear_cross_entropy` holds are there
    at once, and are computed again in the backward pass."""
    rows = rows_at_once(hidden_RW.device.type, len(weight_VW))
    parts = [
        checkpoint(_of_rows, hidden_CW, weight_VW, targets_C, use_reentrant=False, preserve_rng_state=False)
        for hidden_CW, targets_C in zip(torch.split(hidden_RW, rows), torch.split(targets_R, rows), strict=True)
    ]
    return torch.cat(parts)


def _of_rows(hidden_CW: Tensor, weight_VW: Tensor, targets_C: Tensor) -> Tensor:
    logits_CV = linear(hidden_CW, weight_VW.float())
    return logits_CV.gather(1, targets_C[:, None]).squeeze(1) - logits_CV.logsumexp(1)
