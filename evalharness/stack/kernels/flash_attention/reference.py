"""Attention as its formula has it, with the whole matrix of scores; of any number format, float64 among them."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals


def flash_attention(
    queries_BTHD: Tensor,
    keys_BSGD: Tensor,
    values_BSGD: Tensor,
    intervals: KeyIntervals,
    *,
    scale: float,
    slopes_H: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``O = softmax(scale Q K^T - slope |i - j|) V`` over the keys each query sees, and the log of each row's sum.

    Head h of H queries reads the keys of head ``h // (H / G)``. A query that sees nothing gets 0 and -inf.

    Returns:
        Outputs [B, T, H, D], and log-sum-exp [B, H, T].
    """
    repeats = queries_BTHD.shape[2] // keys_BSGD.shape[2]
    dtype = torch.promote_types(queries_BTHD.dtype, torch.float32)
    keys_BHDS = keys_BSGD.to(dtype).repeat_interleave(repeats, 2).permute(0, 2, 3, 1)
    values_BHSD = values_BSGD.to(dtype).repeat_interleave(repeats, 2).transpose(1, 2)
    scores_BHTS = queries_BTHD.to(dtype).transpose(1, 2) @ keys_BHDS * scale
    if slopes_H is not None:
        queries_T = torch.arange(queries_BTHD.shape[1], device=queries_BTHD.device) + intervals.offset
        keys_S = torch.arange(keys_BSGD.shape[1], device=queries_BTHD.device)
        distances_TS = (queries_T[:, None] - keys_S).abs()
        scores_BHTS = scores_BHTS - slopes_H.to(dtype)[:, None, None] * distances_TS
    scores_BHTS = scores_BHTS.masked_fill(~intervals.visible()[:, None], -torch.inf)
    sums_BHT = scores_BHTS.detach().logsumexp(-1)
    weights_BHTS = (scores_BHTS - sums_BHT.clamp(min=torch.finfo(dtype).min)[..., None]).exp()
    # The totals are 1, or 0 where nothing is seen: they are here for the gradient.
    totals_BHT1 = weights_BHTS.sum(-1, keepdim=True)
    mixed_BHTD = weights_BHTS @ values_BHSD / totals_BHT1.clamp(min=0.5)
    return mixed_BHTD.transpose(1, 2).to(queries_BTHD.dtype), sums_BHT
