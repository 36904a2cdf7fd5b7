"""Attention over the line of a step, in two kinds of arithmetic.

`fast` takes the common path of a group of rows and the rest of each apart and weighs the two by their log-sum-exp:
large parts in whole products of oneDNN, small ones with the processor's flash attention. `exact` gives the same bits
whatever is computed together: it takes the true maximum of a row first, and then adds tiles of 64 positions in order.
It rests on matrix products whose rows do not depend on each other: MKL's hold that from 4 rows a thread on, so `exact`
pads to 8.

Letters in names: T tokens of the line, H query heads, G key and value heads, M the queries of one key head (rows of
the line x H/G), C columns, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.engine.cache import GRAIN, TokenStore
from evalharness.stack.engine.line import Group, LinePlan, Part
from evalharness.stack.engine.scores import scores_of
from evalharness.stack.engine.texts import TextsPlan, add_tiles
from evalharness.stack.layers.linear import can_pack, product

LARGE = 1 << 16
"""Scores of one head from which on whole products are faster than flash attention (benchmarks/engine/attention.py)."""


class LineAttention:
    """An `AttentionContext` for one step.

    `slots` and `rows` say which rows of the line's prompts are kept, and where.
    """

    def __init__(
        self,
        plan: LinePlan,
        texts: TextsPlan | None,
        store: TokenStore,
        slots: Tensor,
        rows: Tensor,
        *,
        exact: bool,
    ) -> None:
        self._plan = plan
        self._texts = texts
        self._store = store
        self._slots = slots
        self._rows = rows
        self._exact = exact
        self._columns: Tensor | None = None
        self._biases: dict[tuple[int, int | None], Tensor] = {}

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, *, scale: float, window: int | None
    ) -> Tensor:
        scaled_THD = queries_THD * scale
        first, end = self._plan.first, self._plan.first + self._plan.count
        mixed: list[Tensor] = []
        if self._texts is not None:
            here = slice(0, first)
            mixed.append(
                self._texts.attend(layer, scaled_THD[here], keys_TGD[here], values_TGD[here], window, self._exact)
            )
        if first < end:
            here = slice(first, end)
            mixed.append(self._attend_line(layer, scaled_THD[here], keys_TGD[here], values_TGD[here], window))
        if end < len(queries_THD):  # rows that only fill the line
            mixed.append(torch.zeros_like(queries_THD[end:]))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def _attend_line(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, window: int | None
    ) -> Tensor:
        if len(self._slots):
            self._store.layers[layer][0].index_copy_(0, self._slots, keys_TGD[self._rows])
            self._store.layers[layer][1].index_copy_(0, self._slots, values_TGD[self._rows])
        keys_GCD, values_GCD = self._fill(layer, keys_TGD, values_TGD)
        count, heads, size = queries_THD.shape
        groups, repeats = keys_TGD.shape[1], heads // keys_TGD.shape[1]
        # Room behind the last query, so that products of whole grains can read on.
        queries_GMD = queries_THD.new_zeros(groups, (count + GRAIN) * repeats, size)
        queries_GMD[:, : count * repeats].view(groups, count, repeats, size).copy_(
            queries_THD.view(count, groups, repeats, size).transpose(0, 1)
        )
        mixed_GMD = torch.empty_like(queries_GMD)
        attend = self._attend_exact if self._exact else self._attend_fast
        for group in self._plan.groups:
            attend(group, queries_GMD, keys_GCD, values_GCD, mixed_GMD, repeats, window)
        mixed = mixed_GMD[:, : count * repeats].view(groups, count, repeats, size)
        return mixed.transpose(0, 1).reshape(queries_THD.shape)

    def _fill(self, layer: int, keys_TGD: Tensor, values_TGD: Tensor) -> Tensor:
        """The columns of this layer, [2, G, C, D]."""
        plan = self._plan
        if self._columns is None:
            self._columns = keys_TGD.new_zeros(2, keys_TGD.shape[1], plan.width, keys_TGD.shape[2])
        columns_2CGD = self._columns.transpose(1, 2)
        into, slots = plan.kept
        if len(into):
            columns_2CGD[:, into] = self._store.layers[layer].index_select(1, slots)
        into, rows = plan.new
        columns_2CGD[0].index_copy_(0, into, keys_TGD.index_select(0, rows - plan.first))
        columns_2CGD[1].index_copy_(0, into, values_TGD.index_select(0, rows - plan.first))
        return self._columns

    def _bias(self, part: Part | Group, window: int | None, repeats: int, like: Tensor) -> Tensor:
        """0 where a query of a part sees a column and -inf where not, [M, columns]; alike in all layers."""
        key = (id(part), window)
        if key not in self._biases:
            visible = part.visible(window)  # type: ignore[arg-type]
            bias = torch.zeros(visible.shape).masked_fill_(~visible, -torch.inf).to(like.device, like.dtype)
            self._biases[key] = bias.repeat_interleave(repeats, dim=0)
        return self._biases[key]

    # ----------------------------------------------------------------------- fast

    def _attend_fast(
        self,
        group: Group,
        queries_GMD: Tensor,
        keys_GCD: Tensor,
        values_GCD: Tensor,
        mixed_GMD: Tensor,
        repeats: int,
        window: int | None,
    ) -> None:
        rows = slice(group.row * repeats, (group.row + group.count) * repeats)
        sums_GM = queries_GMD.new_empty(mixed_GMD.shape[0], group.count * repeats, dtype=torch.float32)
        for part in group.parts:
            begin, end = part.row * repeats, (part.row + part.count) * repeats
            mixed, sums = partial_attention(
                queries_GMD[:, begin:end],
                keys_GCD[:, part.columns],
                values_GCD[:, part.columns],
                self._bias(part, window, repeats, queries_GMD),
            )
            mixed_GMD[:, begin:end] = mixed
            sums_GM[:, begin - rows.start : end - rows.start] = sums
        if group.shared:
            bias = None if window is None else self._bias(group, window, repeats, queries_GMD)
            mixed, sums = partial_attention(
                queries_GMD[:, rows],
                keys_GCD[:, group.common],
                values_GCD[:, group.common],
                bias,
                blind=bias is not None,
            )
            own = mixed_GMD[:, rows]
            weight = torch.sigmoid(sums - sums_GM)[..., None]
            # In fp32: rounded to bf16, the weights alone made errors half as large again.
            own.copy_(own.float().lerp_(mixed.float(), weight.expand_as(mixed)))

    # ----------------------------------------------------------------------- exact

    def _attend_exact(
        self,
        group: Group,
        queries_GMD: Tensor,
        keys_GCD: Tensor,
        values_GCD: Tensor,
        mixed_GMD: Tensor,
        repeats: int,
        window: int | None,
    ) -> None:
        first, count = group.row * repeats, group.count * repeats
        best_GM = queries_GMD.new_full((mixed_GMD.shape[0], count), -torch.inf, dtype=torch.float32)
        shared_GMS = None
        if group.shared:
            shared_GMS = _scores(queries_GMD, first, count, keys_GCD[:, group.common])
            if window is not None:
                shared_GMS[:, :count] += self._bias(group, window, repeats, best_GM)
            best_GM = shared_GMS[:, :count].amax(-1)
        own = []
        for part in group.parts:
            here = slice(part.row * repeats - first, (part.row + part.count) * repeats - first)
            scores = _scores(queries_GMD, first + here.start, here.stop - here.start, keys_GCD[:, part.columns])
            seen = scores[:, : here.stop - here.start]
            seen += self._bias(part, window, repeats, best_GM)
            best_GM[:, here] = torch.maximum(best_GM[:, here], seen.amax(-1))
            own.append((here, scores, part.columns))
        sums_GMD = best_GM.new_zeros(*best_GM.shape, mixed_GMD.shape[-1])
        total_GM = torch.zeros_like(best_GM)
        if shared_GMS is not None:
            _weigh(shared_GMS, best_GM)
            add_tiles(sums_GMD, total_GM, shared_GMS, values_GCD[:, group.common])
        for here, scores, columns in own:
            _weigh(scores, best_GM[:, here])
            add_tiles(sums_GMD[:, here], total_GM[:, here], scores, values_GCD[:, columns])
        mixed_GMD[:, first : first + count] = sums_GMD / total_GM[..., None]


def _scores(queries_GMD: Tensor, first: int, count: int, keys_GSD: Tensor) -> Tensor:
    """Scores in fp32 of `count` queries and as many more as fill a grain, [G, >= count, S]."""
    end = first + count + -count % GRAIN
    return scores_of(queries_GMD[:, first:end], keys_GSD)


def _weigh(scores_GMS: Tensor, best_GM: Tensor) -> None:
    """``exp(score - best)`` in place; rows that only fill the grain become 0, so that nothing overflows."""
    count = best_GM.shape[1]
    scores_GMS[:, :count].sub_(best_GM[..., None]).exp_()
    scores_GMS[:, count:] = 0


def partial_attention(
    queries_GMD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, bias_MS: Tensor | None, blind: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention to a part of the keys [G, M, D], and the log of the summed weights [G, M] to put parts together by.

    The queries are scaled. `blind` says that some may see nothing, which the processor's flash attention cannot tell.
    """
    large = queries_GMD.shape[1] * keys_GSD.shape[1] >= LARGE
    if large and not blind and can_pack(queries_GMD.device, queries_GMD.dtype):
        return _whole_products(queries_GMD, keys_GSD, values_GSD, bias_MS)
    if queries_GMD.device.type == "cpu" and not blind:
        mixed, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries_GMD[None],
            keys_GSD[None],
            values_GSD[None],
            attn_mask=None if bias_MS is None else bias_MS[None, None],
            scale=1.0,
        )
        return mixed[0], sums[0]
    scores = scores_of(queries_GMD, keys_GSD)
    if bias_MS is not None:
        scores += bias_MS
    sums = scores.logsumexp(-1)
    weights = (scores - sums.clamp(min=torch.finfo(sums.dtype).min)[..., None]).exp()
    return torch.bmm(weights.to(values_GSD.dtype), values_GSD), sums


def _whole_products(
    queries_GMD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, bias_MS: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `partial_attention`, head by head, so that the scores of one stay in a processor's cache; scores in fp32."""
    mixed_GMD = torch.empty_like(queries_GMD)
    sums_GM = queries_GMD.new_empty(queries_GMD.shape[:2], dtype=torch.float32)
    for queries, keys, values, mixed, sums in zip(
        queries_GMD.float(), keys_GSD.float(), values_GSD, mixed_GMD, sums_GM, strict=True
    ):
        weights_MS = product(queries, keys)
        if bias_MS is not None:
            weights_MS += bias_MS
        best_M1 = weights_MS.amax(-1, keepdim=True)
        weights_MS.sub_(best_M1).exp_()
        total_M1 = weights_MS.sum(-1, keepdim=True)
        mixed.copy_(product(weights_MS.to(values.dtype), values.T).div_(total_M1))
        torch.add(best_M1[:, 0], total_M1[:, 0].log(), out=sums)
    return mixed_GMD, sums_GM
