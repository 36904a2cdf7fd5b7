"""What keeps the experts of a mixture alike busy: a loss on the routers' scores.

Letters in names: T tokens, E experts, K experts of a token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.layers.experts import Experts


class Balance:
    """The loss of a model's mixtures of experts in a pass; listens to the routers between `begin` and `loss`, and so
    not to blocks that are computed again in the backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self._scores: list[tuple[Tensor, int]] = []
        self._listening = False
        self.shares: Tensor | None = None
        """Of the tokens that an expert has in a block, of all that the block's experts have together; of each expert of
        each such block, in the pass before the last `loss`."""
        for layer in model.modules():
            if isinstance(layer, Experts):
                layer.router.register_forward_hook(self._listener(layer.per_token))

    def begin(self) -> None:
        """Listen to a pass."""
        self._scores.clear()
        self._listening = True

    def loss(self) -> Tensor | None:
        """The mean of `balance` over the layers; None where there are none, or no gradients."""
        heard = self._scores[:]
        self._scores.clear()
        self._listening = False
        if not heard:
            return None
        with torch.no_grad():
            self.shares = torch.cat([shares(scores_TE, per_token) / per_token for scores_TE, per_token in heard])
        if not any(scores_TE.requires_grad for scores_TE, _ in heard):
            return None
        return torch.stack([balance(scores_TE, per_token) for scores_TE, per_token in heard]).mean()

    def _listener(self, per_token: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(_: nn.Module, given: tuple[Tensor, ...], scores_TE: Tensor) -> None:
            if self._listening:
                self._scores.append((scores_TE, per_token))

        return listen


def balance(scores_TE: Tensor, per_token: int) -> Tensor:
    """``E sum_e f_e p_e``, where f_e is the share of the tokens for which expert e is among the K of largest score, and
    p_e the mean over the tokens of ``softmax(scores)_e``. It is K where all experts have as many tokens, and more where
    some have more and are surer. Gradients come through p.

    Fedus et al. 2021, arXiv:2101.03961, equations 4 to 6, for K of 1; of Mixtral for more.
    """
    scores_TE = scores_TE.float()
    return scores_TE.shape[-1] * (shares(scores_TE, per_token) * scores_TE.softmax(-1).mean(0)).sum()


def shares(scores_TE: Tensor, per_token: int) -> Tensor:
    """The share of the tokens that pass through each expert, [E]; the sum is K."""
    chosen_TK = scores_TE.topk(per_token, dim=-1).indices
    return F.one_hot(chosen_TK, scores_TE.shape[-1]).sum(1).float().mean(0)


def told_experts(model: Decoder) -> tuple[str, ...]:
    """Names of what `Balance.shares` says: `experts/0/3` is the fourth expert of the first block."""
    layers = [(number, block.feed_forward) for number, block in enumerate(model.blocks)]
    return tuple(
        f"experts/{number}/{expert}"
        for number, layer in layers
        if isinstance(layer, Experts)
        for expert in range(len(layer.experts))
    )
