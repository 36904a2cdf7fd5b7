"""The formulas as they stand; of equal scores the first expert's is the larger."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evalharness.stack.kernels.experts import Routes


def route(scores_TE: Tensor, per_token: int) -> Routes:
    sorted_TE, experts_TE = _wide(scores_TE).sort(dim=1, descending=True, stable=True)
    chosen_P = experts_TE[:, :per_token].flatten()
    order_P = chosen_P.sort(stable=True).indices
    places_P = torch.empty_like(order_P)
    places_P[order_P] = torch.arange(len(order_P), device=order_P.device)
    counts_E = (chosen_P[:, None] == torch.arange(scores_TE.shape[1], device=order_P.device)).sum(0)
    weights_TK = sorted_TE[:, :per_token].softmax(1)
    return Routes(weights_TK, places_P.view_as(weights_TK), order_P // per_token, counts_E)


def send(x_TW: Tensor, routes: Routes) -> Tensor:
    return x_TW[routes.tokens_P]


def grouped_linear(x_PI: Tensor, routes: Routes, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Tensor:
    sides = len(weights) // len(routes.counts_E)
    found = []
    for expert, part_PI in enumerate(torch.split(_wide(x_PI), routes.counts_E.tolist())):
        at = slice(expert * sides, (expert + 1) * sides)
        part_PO = part_PI @ _wide(torch.cat(list(weights[at]))).t()
        found.append(part_PO + _wide(torch.cat(list(biases[at]))) if biases else part_PO)
    return torch.cat(found).to(x_PI.dtype)


def mix(passed_PW: Tensor, routes: Routes) -> Tensor:
    passed_TKW = _wide(passed_PW)[routes.places_TK]
    return (passed_TKW * routes.weights_TK[..., None]).sum(1).to(passed_PW.dtype)


def _wide(numbers: Tensor) -> Tensor:
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))
