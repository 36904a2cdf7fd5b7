"""Run by run: stretches of queries that see the same keys, or one more each, need no mask; others take small ones.

On a processor a run is torch's own flash attention, which is also used where a mask hides something; elsewhere, plain
products. No run without a mask is cut, and none with one is larger than `MASKED` queries, so that no mask of T x S is
ever made. Letters: m queries and n keys of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals

MASKED = 128
"""Queries that share one mask."""
WHOLE = 32
"""Queries from which on a run of its own is worth it."""

_flash = torch._scaled_dot_product_flash_attention_for_cpu
"""What `scaled_dot_product_attention` calls on a processor; it tells the log-sum-exp too."""
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True, slots=True)
class Run:
    """Queries of some sequences that are computed together, and the keys that any of them sees."""

    batch: slice
    queries: slice
    keys: slice
    causal: bool
    """Query i of the run sees its keys 0 to i."""
    masked: bool


def flash_attention(
    queries_BTHD: Tensor,
    keys_BSGD: Tensor,
    values_BSGD: Tensor,
    intervals: KeyIntervals,
    *,
    scale: float,
    slopes_H: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    if slopes_H is None and queries_BTHD.device.type == "cpu" and (run := _alone(intervals)) is not None:
        # Nothing to put together: torch's own derivative is as good, and 20 microseconds faster.
        query, key, value = _parts(run, queries_BTHD, keys_BSGD, values_BSGD)
        mixed_BHTD, sums_BHT = _attend_flash(query, key, value, None, run.causal, scale)
        return mixed_BHTD.transpose(1, 2), sums_BHT
    found: tuple[Tensor, Tensor] = _ByRuns.apply(queries_BTHD, keys_BSGD, values_BSGD, intervals, scale, slopes_H)  # type: ignore[no-untyped-call]
    return found


class _ByRuns(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries, keys, values, intervals, scale, slopes):  # type: ignore[no-untyped-def]
        runs = runs_of(intervals, biased=slopes is not None)
        attend = _attend_flash if queries.device.type == "cpu" else _attend_products
        if len(runs) == 1 and _whole(runs[0], queries.shape[1]):
            whole = _run_forward(attend, runs[0], queries, keys, values, intervals, scale, slopes)
            mixed, sums = whole[0].transpose(1, 2), whole[1]
        else:
            mixed = torch.zeros(queries.shape, dtype=queries.dtype, device=queries.device)
            shape = (queries.shape[0], queries.shape[2], queries.shape[1])
            sums = torch.full(shape, -torch.inf, dtype=_wide(queries.dtype), device=queries.device)
            for run in runs:
                part = _run_forward(attend, run, queries, keys, values, intervals, scale, slopes)
                mixed[run.batch, run.queries] = part[0].transpose(1, 2)
                sums[run.batch, :, run.queries] = part[1]
        ctx.save_for_backward(queries, keys, values, mixed, sums, slopes)
        ctx.runs, ctx.intervals, ctx.scale = runs, intervals, scale
        ctx.mark_non_differentiable(sums)
        return mixed, sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient, _):  # type: ignore[no-untyped-def]
        queries, keys, values, mixed, sums, slopes = ctx.saved_tensors
        change = _change_flash if queries.device.type == "cpu" else _change_products
        # Keys of several runs add up: in fp32, and not at all where one run has them all.
        single = len(ctx.runs) == 1
        by_queries = torch.zeros_like(queries)
        by_keys, by_values = (torch.zeros_like(x, dtype=x.dtype if single else _wide(x.dtype)) for x in (keys, values))
        for run in ctx.runs:
            bias, blind = _bias(run, ctx.intervals, slopes, queries.dtype)
            grad, part = (x[run.batch, run.queries].transpose(1, 2) for x in (gradient, mixed))
            sums_part = sums[run.batch, :, run.queries]
            if blind is not None:
                grad, sums_part = grad.masked_fill(blind[..., None], 0), sums_part.masked_fill(blind, 0)
            query, key, value = _parts(run, queries, keys, values)
            found = change(grad, query, key, value, part, sums_part, bias, run.causal, ctx.scale)
            by_queries[run.batch, run.queries] += found[0].transpose(1, 2)
            by_keys[run.batch, run.keys] += found[1].transpose(1, 2)
            by_values[run.batch, run.keys] += found[2].transpose(1, 2)
        return by_queries, by_keys.to(keys.dtype), by_values.to(values.dtype), None, None, None


def _whole(run: Run, queries: int) -> bool:
    """Whether a run is all there is to compute."""
    return run.batch == slice(None) and run.queries == slice(0, queries)


def _run_forward(
    attend: Callable[..., tuple[Tensor, Tensor]], run: Run, queries: Tensor, keys: Tensor, values: Tensor,
    intervals: KeyIntervals, scale: float, slopes: Tensor | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    bias, blind = _bias(run, intervals, slopes, queries.dtype)
    mixed, sums = attend(*_parts(run, queries, keys, values), bias, run.causal, scale)
    if blind is not None:
        mixed, sums = mixed.masked_fill(blind[..., None], 0), sums.masked_fill(blind, -torch.inf)
    return mixed, sums


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _parts(run: Run, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = (
        _cut(queries, run.batch, run.queries), _cut(keys, run.batch, run.keys), _cut(values, run.batch, run.keys)
    )  # fmt: skip
    return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)


def _cut(x: Tensor, batch: slice, places: slice) -> Tensor:
    """``x[batch, places]``; of all there is no view is made, as three of them take a third of a short attention."""
    whole = places.stop == x.shape[1] and places.start == 0 and batch == slice(None)
    return x if whole else x[batch, places]


# --------------------------------------------------------------------------- runs


@lru_cache(maxsize=8)  # the layers of a model ask for the same ones
def runs_of(intervals: KeyIntervals, *, biased: bool) -> tuple[Run, ...]:
    """All queries that see something; `biased` where every score gets something added, for which a run needs a mask."""
    return tuple(_runs(intervals, biased))


@lru_cache(maxsize=8)
def _alone(intervals: KeyIntervals) -> Run | None:
    """The run that holds all queries and needs no mask, where there is one."""
    runs = runs_of(intervals, biased=False)
    alone = len(runs) == 1 and not runs[0].masked and _whole(runs[0], intervals.first_BT.shape[1])
    return runs[0] if alone else None


def _runs(intervals: KeyIntervals, biased: bool) -> Iterator[Run]:
    alike = len(intervals.first_BT) == 1
    for row, (firsts, ends) in enumerate(zip(intervals.first_BT.tolist(), intervals.end_BT.tolist(), strict=True)):
        batch = slice(None) if alike else slice(row, row + 1)
        waiting = 0
        for begin, end, step in [] if biased else _stretches(firsts, ends):
            causal = step == 1 and ends[begin] == firsts[begin] + 1
            if (end - begin < WHOLE and end - begin < len(firsts)) or (step == 1 and not causal):
                continue
            yield from _masked(batch, waiting, begin, firsts, ends)
            if ends[begin] > firsts[begin]:
                keys = slice(firsts[begin], ends[end - 1])
                yield Run(batch, slice(begin, end), keys, causal=causal, masked=False)
            waiting = end
        yield from _masked(batch, waiting, len(firsts), firsts, ends)


def _stretches(firsts: list[int], ends: list[int]) -> Iterator[tuple[int, int, int]]:
    """Neighbours of the same first key and the same end, or an end that rises by one: first, end, rise."""
    begin = 0
    while begin < len(firsts):
        end = begin + 1
        step = ends[end] - ends[begin] if end < len(firsts) else 0
        while end < len(firsts) and firsts[end] == firsts[begin] and ends[end] - ends[end - 1] == step <= 1:
            end += 1
        yield begin, end, step if end - begin > 1 else 0
        begin = end


def _masked(batch: slice, begin: int, end: int, firsts: list[int], ends: list[int]) -> Iterator[Run]:
    for first in range(begin, end, MASKED):
        last = min(first + MASKED, end)
        keys = slice(min(firsts[first:last]), max(ends[first:last]))
        if keys.stop > keys.start:
            yield Run(batch, slice(first, last), keys, causal=False, masked=True)


def _bias(
    run: Run, intervals: KeyIntervals, slopes: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the scores of a run, [B, 1 or H, m, n], and which of its queries see nothing, [B, 1, m].

    Such queries see all keys here, as torch's flash attention makes NaN of them; their outputs do not count.
    """
    if not run.masked:
        return None, None
    visible = intervals.visible(run.queries, run.keys)[run.batch, None]
    blind = ~visible.any(-1)
    bias = torch.zeros(visible.shape, dtype=_wide(dtype), device=visible.device)
    if slopes is not None:
        places = torch.arange(run.queries.start, run.queries.stop, device=visible.device) + intervals.offset
        columns = torch.arange(run.keys.start, run.keys.stop, device=visible.device)
        bias = bias - slopes.to(bias.dtype)[:, None, None] * (places[:, None] - columns).abs()
    bias = bias.masked_fill(~(visible | blind[..., None]), -torch.inf)
    return bias, blind if bool(blind.any()) else None


# --------------------------------------------------------------------------- one run on a processor


def _attend_flash(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _flash(queries, keys, values, 0.0, causal, attn_mask=bias, scale=scale)
    return found


def _change_flash(
    grad: Tensor, queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor, sums: Tensor,
    bias: Tensor | None, causal: bool, scale: float,
) -> Any:  # fmt: skip
    return _flash_backward(
        grad, queries, keys, values, mixed, sums.contiguous(), 0.0, causal, attn_mask=bias, scale=scale
    )


# --------------------------------------------------------------------------- one run elsewhere


def _grouped(of_heads: Tensor, keys: Tensor) -> Tensor:
    """Heads of one key head side by side: [B, H, ...] as [B, G, H / G, ...]."""
    repeats = of_heads.shape[1] // keys.shape[1]
    return of_heads.reshape(len(of_heads), keys.shape[1], repeats, *of_heads.shape[2:])


def _blocks(count: int) -> Iterator[slice]:
    return (slice(begin, min(begin + MASKED, count)) for begin in range(0, count, MASKED))


def _weights(
    queries: Tensor, keys: Tensor, bias: Tensor | None, causal: bool, scale: float, rows: slice, sums: Tensor | None
) -> tuple[Tensor, Tensor]:
    """``exp(scores - log-sum-exp)`` of some rows, [B, G, H / G, rows, n], and the log-sum-exp [B, G, H / G, rows]."""
    scores = (queries[..., rows, :] @ keys[:, :, None].mT).to(_wide(queries.dtype)) * scale
    if bias is not None:
        shape = (len(bias), 1, 1) if bias.shape[1] == 1 else (len(bias), *queries.shape[1:3])
        scores = scores + bias[..., rows, :].reshape(*shape, -1, bias.shape[-1])
    if causal:
        places = torch.arange(rows.start, rows.stop, device=keys.device)
        hidden = torch.arange(keys.shape[-2], device=keys.device) > places[:, None]
        scores = scores.masked_fill(hidden, -torch.inf)
    if sums is None:
        sums = scores.logsumexp(-1)
    return (scores - sums[..., None]).exp(), sums


def _attend_products(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    grouped = _grouped(queries, keys)
    mixed = torch.empty_like(grouped)
    sums = torch.empty(grouped.shape[:-1], dtype=_wide(queries.dtype), device=queries.device)
    for rows in _blocks(queries.shape[2]):
        weights, sums[..., rows] = _weights(grouped, keys, bias, causal, scale, rows, None)
        mixed[..., rows, :] = weights.to(values.dtype) @ values[:, :, None]
    return mixed.flatten(1, 2), sums.flatten(1, 2)


def _change_products(
    grad: Tensor, queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor, sums: Tensor,
    bias: Tensor | None, causal: bool, scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``dV = P^T dO``, ``dS = P (dO V^T - sum(dO O))``, ``dQ = scale dS K``, ``dK = scale dS^T Q``."""
    wide = _wide(queries.dtype)
    grouped, grad, mixed, sums = (_grouped(x, keys) for x in (queries, grad, mixed, sums))
    delta = (grad.to(wide) * mixed.to(wide)).sum(-1)
    by_queries = torch.empty_like(grouped, dtype=wide)
    by_keys, by_values = torch.zeros_like(keys, dtype=wide), torch.zeros_like(values, dtype=wide)
    for rows in _blocks(queries.shape[2]):
        weights, _ = _weights(grouped, keys, bias, causal, scale, rows, sums[..., rows])
        here = grad[..., rows, :]
        by_values += (weights.to(here.dtype).mT @ here).sum(2, dtype=wide)
        change = weights * ((here @ values[:, :, None].mT).to(wide) - delta[..., rows, None])
        change = change.to(queries.dtype)
        by_queries[..., rows, :] = (change @ keys[:, :, None]).to(wide) * scale
        by_keys += (change.mT @ grouped[..., rows, :]).sum(2, dtype=wide) * scale
    return by_queries.flatten(1, 2), by_keys, by_values
