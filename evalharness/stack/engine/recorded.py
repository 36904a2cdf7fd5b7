"""Steps of running texts alone, computed from buffers of a few sizes, so that a GPU can record one and play it again.

A step of one text is hundreds of small kernels, which a processor launches more slowly than a GPU computes them; a CUDA
graph launches them all at once. It always reads the same memory: so ids, positions, pages and places of a step are
padded to the size of a step that was recorded, and copied to where that one had them. For models whose attention
Triton computes, from such tables alone, and whose layers launch the same kernels whatever the numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.attention import LineAttention
from evalharness.stack.engine.cache import TileStore, TokenStore
from evalharness.stack.engine.generation import RunningText
from evalharness.stack.engine.line import LinePlan
from evalharness.stack.kernels.paged_decode import OP, PagePlan
from evalharness.stack.kernels.tiles import GRAIN, TILE

Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes a computation and gives one that does the same again, from the same memory into the same memory."""


def cuda_graph(compute: Callable[[], None]) -> Callable[[], None]:
    """A `Recorder`: once as it is, so that kernels are compiled and libraries ready, and then into a graph."""
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        compute()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other engines may compute meanwhile
        compute()
    return graph.replay


@dataclass(frozen=True, slots=True)
class Nobody:
    """A text that only fills a step: its one token lies in page 0."""

    path: None = None
    shared: int = 0
    length: int = 0
    tiles: list[int] = field(default_factory=lambda: [0])


class RecordedSteps:
    """Recorded steps of one engine by their size."""

    def __init__(self, model: Decoder, tiles: TileStore, store: TokenStore, record: Recorder, *, exact: bool) -> None:
        self._model = model
        self._tiles = tiles
        self._store = store
        self._record = record
        self._exact = exact
        self._repeats = model.config.heads // model.config.kv_heads
        self._steps: dict[Hashable, _Step] = {}
        self._memory: Tensor | None = None

    @property
    def possible(self) -> bool:
        like = self._store.layers[0]
        return OP.chosen(like, like.shape[-1]) == "triton"

    def run(self, texts: Sequence[RunningText], new: Sequence[int], ids: Sequence[int]) -> Tensor:
        """Hidden states of the texts' rows, [T, W], until the next step of the same size."""
        if self._memory is not self._tiles.layers[0]:  # it has grown, and lies elsewhere
            self._memory = self._tiles.layers[0]
            self._steps.clear()
        rest = max(GRAIN, 1 << (len(texts) - 1).bit_length()) - len(texts)
        plan = PagePlan([*texts, *[Nobody()] * rest], [*new, *[1] * rest], TILE, self._model.device, steady=True)
        padded = [*ids, *[0] * (plan.rows - len(ids))]
        line = torch.tensor([padded, plan.positions], device=self._model.device)
        size = (plan.count, plan.width, *plan.blocks(self._repeats, self._exact).size)
        step = self._steps.get(size)
        if step is None:
            step = self._steps[size] = _Step(plan, line, self._context(plan))
            step.again = self._record(lambda: self._compute(step))
        else:
            step.line.copy_(line)
            step.plan.take(plan, self._repeats, self._exact)
        step.again()
        assert step.hidden_TW is not None
        return step.hidden_TW[: len(ids)]

    def _context(self, plan: PagePlan) -> LineAttention:
        device = self._model.device
        none = torch.empty(0, dtype=torch.long, device=device)
        line = LinePlan((), plan.rows, device)
        return LineAttention(plan, self._tiles, line, self._store, none, none, exact=self._exact)

    def _compute(self, step: _Step) -> None:
        step.hidden_TW = self._model(step.line[0], step.line[1], step.context)


@dataclass(slots=True)
class _Step:
    """A step that can be computed again: what it reads and what it has written."""

    plan: PagePlan
    line: Tensor
    """Ids and positions."""
    context: LineAttention
    hidden_TW: Tensor | None = None
    again: Callable[[], None] = lambda: None
