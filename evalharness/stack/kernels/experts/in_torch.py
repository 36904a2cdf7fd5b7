"""By torch's sort and products, expert by expert, so that the counts have to be known.

A model's experts are better passed one by one here, as a whole: what is between their products stays in the processor's
cache, and there is never more than one expert's of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.experts import Routes


def route(scores_TE: Tensor, per_token: int) -> Routes:
    wide_TE = scores_TE.to(torch.promote_types(scores_TE.dtype, torch.float32))
    top_TK, chosen_TK = wide_TE.topk(per_token, dim=-1)
    chosen_P = chosen_TK.flatten()
    order_P = chosen_P.argsort(stable=True)
    counts_E = F.one_hot(chosen_P, scores_TE.shape[-1]).sum(0)
    return Routes(top_TK.softmax(-1), order_P.argsort().view_as(chosen_TK), order_P // per_token, counts_E)


def send(x_TW: Tensor, routes: Routes) -> Tensor:
    return x_TW.index_select(0, routes.tokens_P)


def grouped_linear(x_PI: Tensor, routes: Routes, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Tensor:
    counts = routes.counts_E.tolist()
    sides = len(weights) // len(counts)
    of_each = [biases[number] if biases else None for number in range(len(weights))]
    found = []
    for expert, part_PI in enumerate(torch.split(x_PI, counts)):
        at = range(expert * sides, (expert + 1) * sides)
        beside = [F.linear(part_PI, weights[number], of_each[number]) for number in at]
        found.append(torch.cat(beside, dim=-1) if sides > 1 else beside[0])
    return torch.cat(found)


def mix(passed_PW: Tensor, routes: Routes) -> Tensor:
    passed_TKW = passed_PW.index_select(0, routes.places_TK.flatten()).view(*routes.places_TK.shape, passed_PW.shape[1])
    first_TW, *others = (passed_TKW * routes.weights_TK.to(passed_TKW.dtype)[..., None]).unbind(1)
    mixed_TW: Tensor = sum(others, start=first_TW)
    return mixed_TW
