"""A mixture of experts: feed-forward layers of which each token passes through few.

Letters in names: T tokens, W width, E experts, K experts of a token, P = T K passes of a token through an expert. What
has a T may have more axes before it, as batches do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRAIN = 8
"""Rows that a product has a multiple of: with few rows, products have other bits (see `engine.cache`)."""


class Experts(nn.Module):
    """``sum over e of softmax(r)_e expert_e(x)``, with ``r = router(x)``, over the K experts with the largest r alone,
    in the softmax too.

    Shazeer et al. 2017, arXiv:1701.06538; Mixtral, Jiang et al. 2024, arXiv:2401.04088, section 2.1. Each expert's
    tokens are one product, and a token's outputs are added in the order of their weights: nothing depends on which
    tokens are computed together.
    """

    def __init__(self, width: int, experts: Sequence[nn.Module], per_token: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, len(experts), bias=False)
        self.experts = nn.ModuleList(experts)
        self.per_token = per_token
        self.count_evenly = False
        """Take every expert to have its share of the tokens: for passes that have no numbers, as estimates make."""

    def forward(self, x_TW: Tensor) -> Tensor:
        flat_TW = x_TW.flatten(0, -2)
        top_TK, chosen_TK = self.router(flat_TW).float().topk(self.per_token, dim=-1)
        order_P = chosen_TK.flatten().argsort(stable=True)
        sent_PW = flat_TW.index_select(0, order_P // self.per_token)
        passed = [
            _pass(expert, part)
            for expert, part in zip(self.experts, torch.split(sent_PW, self._counts(chosen_TK)), strict=True)
            # An expert without tokens still takes part in a training: every process needs gradients of all weights.
            if len(part) or torch.is_grad_enabled()
        ]
        passed_TKW = torch.cat(passed).index_select(0, order_P.argsort()).view(*top_TK.shape, -1)
        first_TW, *others = (passed_TKW * top_TK.softmax(-1).to(passed_TKW.dtype)[..., None]).unbind(1)
        mixed_TW: Tensor = sum(others, start=first_TW)
        return mixed_TW.view_as(x_TW)

    def _counts(self, chosen_TK: Tensor) -> list[int]:
        """How many tokens each expert has."""
        count = len(self.experts)
        if self.count_evenly:
            passes = chosen_TK.numel()
            return [passes * (number + 1) // count - passes * number // count for number in range(count)]
        found: list[int] = F.one_hot(chosen_TK.flatten(), count).sum(0).tolist()
        return found


def _pass(expert: nn.Module, x_PW: Tensor) -> Tensor:
    rows, padding = len(x_PW), -len(x_PW) % GRAIN
    found: Tensor = expert(F.pad(x_PW, (0, 0, 0, padding)) if padding else x_PW)
    return found[:rows]
