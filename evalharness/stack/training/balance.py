"""What keeps the experts of a mixture alike busy: a loss on the routers' scores.

Letters in names: T tokens, E experts, K experts of a token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.layers.experts import Experts


class Balance:
    """The loss of a model's mixtures of experts in a pass; listens to the routers between `begin` and `loss`, and so
    not to blocks that are computed again in the backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self._scores: list[tuple[Tensor, int]] = []
        self._listening = False
        for layer in model.modules():
            if isinstance(layer, Experts):
                layer.router.register_forward_hook(self._listener(layer.per_token))

    def begin(self) -> None:
        """Listen to a pass."""
        self._scores.clear()
        self._listening = True

    def loss(self) -> Tensor | None:
        """The mean of `balance` over the layers; None where there are none, or no gradients."""
        losses = [balance(scores_TE, per_token) for scores_TE, per_token in self._scores]
        self._scores.clear()
        self._listening = False
        return torch.stack(losses).mean() if losses else None

    def _listener(self, per_token: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(_: nn.Module, given: tuple[Tensor, ...], scores_TE: Tensor) -> None:
            if self._listening and torch.is_grad_enabled():
                self._scores.append((scores_TE, per_token))

        return listen


def balance(scores_TE: Tensor, per_token: int) -> Tensor:
    """``E sum_e f_e p_e``, where f_e is the share of the tokens for which expert e is among the K of largest score, and
    p_e the mean over the tokens of ``softmax(scores)_e``. It is K where all experts have as many tokens, and more where
    some have more and are surer. Gradients come through p.

    Fedus et al. 2021, arXiv:2101.03961, equations 4 to 6, for K of 1; of Mixtral for more.
    """
    scores_TE = scores_TE.float()
    count = scores_TE.shape[-1]
    chosen_TK = scores_TE.topk(per_token, dim=-1).indices
    shares_E = F.one_hot(chosen_TK, count).sum(1).float().mean(0)
    return count * (shares_E * scores_TE.softmax(-1).mean(0)).sum()
