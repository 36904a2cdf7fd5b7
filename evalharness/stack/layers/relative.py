"""Relative positions of T5 (Raffel et al. 2020, arXiv:1910.10683, section 2.1): a learned number for each head and
bucket of distances is added to the scores of attention.

Letters in names: H heads, N buckets, T queries, S keys.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def relative_buckets(distances: Tensor, buckets: int, farthest: int, *, both_ways: bool) -> Tensor:
    """The bucket of each distance, key's position less query's.

    Looking back, half of the buckets hold one distance each: 0, 1, ..., E - 1; the other half, of which there are as
    many, grow so that their logarithms are even: distance d is in ``E + floor(E ln(d / E) / ln(farthest / E))``, and
    from `farthest` on in the last one. `both_ways`, buckets are split in two: the first half look back like this, the
    second half ahead; else what lies ahead counts as distance 0, as it is masked.
    """
    ahead = torch.zeros_like(distances)
    if both_ways:
        buckets //= 2
        ahead = (distances > 0) * buckets
        back = distances.abs()
    else:
        back = (-distances).clamp(min=0)
    exact = buckets // 2
    logs = torch.log(back.clamp(min=1).float() / exact) / math.log(farthest / exact)
    far = exact + (logs * (buckets - exact)).long()
    return ahead + torch.where(back < exact, back, far.clamp(max=buckets - 1))


class RelativePositions(nn.Module):
    """What the layers of a stack share: the number for each bucket and head."""

    def __init__(self, buckets: int, farthest: int, heads: int, *, both_ways: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(buckets, heads))
        self.farthest, self.both_ways = farthest, both_ways

    def forward(self, first: int, count: int, seen: int) -> Tensor:
        """What is added to the scores of the queries at positions `first`, `first` + 1, ..., `count` of them, for the
        keys at positions 0 to `seen` - 1, [H, T, S]; -inf where a key must not be seen."""
        device = self.weight.device
        queries_T1 = torch.arange(first, first + count, device=device)[:, None]
        distances_TS = torch.arange(seen, device=device)[None, :] - queries_T1
        buckets_TS = relative_buckets(distances_TS, len(self.weight), self.farthest, both_ways=self.both_ways)
        bias_HTS = nn.functional.embedding(buckets_TS, self.weight).permute(2, 0, 1)
        return bias_HTS if self.both_ways else bias_HTS.masked_fill(distances_TS > 0, -torch.inf)


def attend(queries_HTD: Tensor, keys_HSD: Tensor, values_HSD: Tensor, bias_HTS: Tensor | None = None) -> Tensor:
    """``softmax(q k^T + bias) v``, [H, T, D] or a batch of them: scores are not divided by ``sqrt(D)``, as T5's initial
    weights are smaller for it."""
    # With four axes torch takes a kernel that is twice as fast on a processor.
    queries, keys, values = (_batch(each) for each in (queries_HTD, keys_HSD, values_HSD))
    if bias_HTS is not None:
        bias_HTS = _batch(bias_HTS.to(queries.dtype))
    mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias_HTS, scale=1.0)
    return mixed if queries_HTD.dim() == 4 else mixed[0]


def _batch(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 4 else tensor[None]
