"""A mixture of experts: feed-forward layers of which each token passes through few.

Letters in names: T tokens, W width, E experts, K experts of a token, P = T K passes of a token through an expert. What
has a T may have more axes before it, as batches do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.kernels.experts import Routes, grouped_linear, groups, mix, route, send
from evalharness.stack.kernels.op import in_exact
from evalharness.stack.kernels.tiles import GRAIN
from evalharness.stack.layers.feedforward import FeedForward, GatedFeedForward
from evalharness.stack.layers.linear import ExactLinear, SideBySide

PLAIN = (nn.Parameter, Tensor)
"""Weights that are whole and have numbers: not DTensors, nor what estimates make."""


class Experts(nn.Module):
    """``sum over e of softmax(r)_e expert_e(x)``, with ``r = router(x)``, over the K experts with the largest r alone,
    in the softmax too.

    Shazeer et al. 2017, arXiv:1701.06538; Mixtral, Jiang et al. 2024, arXiv:2401.04088, section 2.1. Each expert's
    tokens are one product, and a token's outputs are added in the order of their weights: in `exact` nothing depends on
    which tokens are computed together.
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
        routes = route(self.router(flat_TW), self.per_token)
        sent_PW = send(flat_TW, routes)
        together = self._together(sent_PW, routes) if groups(sent_PW) else None
        return mix(self._one_by_one(sent_PW, routes) if together is None else together, routes).view_as(x_TW)

    def _one_by_one(self, sent_PW: Tensor, routes: Routes) -> Tensor:
        passed = [
            _pass(expert, part)
            for expert, part in zip(self.experts, torch.split(sent_PW, self._counts(routes)), strict=True)
            # An expert without tokens still takes part in a training: every process needs gradients of all weights.
            if len(part) or torch.is_grad_enabled()
        ]
        return torch.cat(passed)

    def _counts(self, routes: Routes) -> list[int]:
        """How many tokens each expert has."""
        count = len(self.experts)
        if self.count_evenly:
            passes = len(routes.tokens_P)
            return [passes * (number + 1) // count - passes * number // count for number in range(count)]
        found: list[int] = routes.counts_E.tolist()
        return found

    def _together(self, sent_PW: Tensor, routes: Routes) -> Tensor | None:
        """The same by products of all experts at once; None where their weights are not plain ones, which all are
        multiplied alike: adapters and packed or small weights have products of their own."""
        first = self.experts[0]
        if not isinstance(first, FeedForward | GatedFeedForward):
            return None
        inner = _plain([_entrance(expert) for expert in self.experts])
        outer = _plain([expert.get_submodule("down") for expert in self.experts])
        if inner is None or outer is None:
            return None
        return grouped_linear(first.between(grouped_linear(sent_PW, routes, *inner)), routes, *outer)


def _pass(expert: nn.Module, x_PW: Tensor) -> Tensor:
    rows = len(x_PW)
    padding = -rows % GRAIN if in_exact() else 0
    found: Tensor = expert(F.pad(x_PW, (0, 0, 0, padding)) if padding else x_PW)
    return found[:rows]


class _Matrices(NamedTuple):
    """As `grouped_linear` takes them."""

    weights: list[Tensor]
    biases: list[Tensor]


def _entrance(expert: nn.Module) -> nn.Module:
    return expert.get_submodule("gate_up" if isinstance(expert, GatedFeedForward) else "up")


def _plain(layers: Sequence[nn.Module]) -> _Matrices | None:
    """The weights and biases of layers that do nothing but multiply by them; None where one does anything else."""
    parts = [each for layer in layers for each in (layer.children() if isinstance(layer, SideBySide) else [layer])]
    linear = [each for each in parts if isinstance(each, nn.Linear | ExactLinear)]
    if any(type(each) not in (nn.Linear, ExactLinear) for each in parts):
        return None
    if any(type(each.weight) not in PLAIN for each in linear):
        return None
    return _Matrices([each.weight for each in linear], [each.bias for each in linear if each.bias is not None])
