"""Which keys a query sees, as one interval for each query.

A causal mask, a sliding window, documents packed into one row, texts of different length and a prefix that sees itself
in both directions have this in common, so that kernels need two numbers for each query and no mask of T x S.
Letters in names: B sequences (1 where all are alike), T queries, S keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class KeyIntervals:
    """Query i sees the keys ``first[i] <= j < end[i]``; none where that is empty. Neither falls with rising i."""

    first_BT: Tensor
    end_BT: Tensor
    """Both int32."""
    seen: int
    """Number of keys S."""
    offset: int = 0
    """Position of the first query among the keys, from which ALiBi counts its distances."""

    def visible(self, queries: slice = slice(None), keys: slice = slice(None)) -> Tensor:
        """The part of the mask for some queries and keys, [B, queries, keys]."""
        columns = torch.arange(self.seen, device=self.first_BT.device)[keys]
        return (columns >= self.first_BT[:, queries, None]) & (columns < self.end_BT[:, queries, None])

    def queries_of(self) -> tuple[Tensor, Tensor]:
        """First query that sees each key and the end of those that do, int32 [B, S]; no query where that is empty."""
        keys_S = torch.arange(self.seen, dtype=torch.int32, device=self.first_BT.device)
        keys_BS = keys_S.expand(len(self.first_BT), -1).contiguous()
        firsts = torch.searchsorted(self.end_BT.contiguous(), keys_BS, right=True, out_int32=True)
        ends = torch.searchsorted(self.first_BT.contiguous(), keys_BS, right=True, out_int32=True)
        return firsts, ends


def causal(count: int, seen: int, *, window: int | None = None, device: torch.device | None = None) -> KeyIntervals:
    """The queries are the last `count` of the `seen` positions; one at i sees j <= i, with a window ``i - j < window``.

    Raises:
        ValueError: there are fewer keys than queries.
    """
    if seen < count:
        raise ValueError(f"a causal mask of {count} queries needs at least as many keys, not {seen}")
    end_T = torch.arange(seen - count + 1, seen + 1, dtype=torch.int32, device=device)
    first_T = torch.zeros_like(end_T) if window is None else (end_T - window).clamp(min=0)
    return KeyIntervals(first_T[None], end_T[None], seen, seen - count)


def everything(count: int, seen: int, *, device: torch.device | None = None) -> KeyIntervals:
    """Every query sees every key."""
    first_T = torch.zeros(count, dtype=torch.int32, device=device)
    return KeyIntervals(first_T[None], torch.full_like(first_T, seen)[None], seen)


def packed(
    count: int,
    *,
    documents_BT: Tensor | None = None,
    prefix_BT: Tensor | None = None,
    window: int | None = None,
    device: torch.device | None = None,
) -> KeyIntervals:
    """Whole sequences of `count` tokens, causal within their documents.

    Args:
        documents_BT: number of the document of each token; a document's tokens follow each other.
        prefix_BT: True for the tokens at the beginning of a document that see each other in both directions.
        window: as in `causal`; tokens of a prefix see the whole prefix in spite of it.
    """
    given = documents_BT if documents_BT is not None else prefix_BT
    if given is not None:
        device = given.device
    places_T = torch.arange(count, dtype=torch.int32, device=device)
    first_BT = torch.zeros_like(places_T)[None]
    ends_here_BT = (places_T == count - 1)[None]
    if documents_BT is not None:
        changes_BT = documents_BT[:, 1:] != documents_BT[:, :-1]
        starts_BT = torch.where(changes_BT, places_T[1:], 0)
        first_BT = torch.cat((starts_BT.new_zeros(len(starts_BT), min(count, 1)), starts_BT), 1).cummax(1).values
        ends_here_BT = torch.cat((changes_BT, changes_BT.new_ones(len(changes_BT), min(count, 1))), 1)
    end_BT = (places_T + 1)[None]
    begin_BT = first_BT
    if window is not None:
        first_BT = torch.maximum(first_BT, end_BT - window)
    if prefix_BT is not None:
        last_BT = ends_here_BT.clone().expand(prefix_BT.shape).contiguous()
        last_BT[:, :-1] |= ~prefix_BT[:, 1:]
        # The end of the prefix that a token lies in is the next place at which one ends.
        next_BT = torch.where(last_BT, places_T + 1, count).flip(1).cummin(1).values.flip(1)
        end_BT = torch.where(prefix_BT, next_BT, end_BT)
        first_BT = torch.where(prefix_BT, begin_BT, first_BT)
    shape = (max(len(first_BT), len(end_BT)), count)
    return KeyIntervals(first_BT.int().expand(shape).contiguous(), end_BT.int().expand(shape).contiguous(), count)
