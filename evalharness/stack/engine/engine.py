"""The engine: jobs become a prefix tree, the tree becomes lines of tokens, and every line is one pass of the model.

A step takes the next token of every running text and fills the line with what comes next in a depth-first walk through
the tree. Every distinct token is computed once; the vocabulary is projected only where a token is scored or drawn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Literal

import torch
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.attention import LineAttention
from evalharness.stack.engine.cache import Budget, SharedPath, TileStore, TokenStore, bytes_per_token
from evalharness.stack.engine.generation import RunningJob, RunningText, asked_log_probabilities
from evalharness.stack.engine.line import LinePlan, Stretch
from evalharness.stack.engine.recorded import RecordedSteps, Recorder
from evalharness.stack.engine.report import EngineReport
from evalharness.stack.engine.requests import Job, ScoreJob, Scores
from evalharness.stack.engine.sampler import draw
from evalharness.stack.engine.scoring import RunningScore, score_rows
from evalharness.stack.engine.tree import HEAD, Node, Piece, PrefixTree
from evalharness.stack.errors import GrammarError, KernelError
from evalharness.stack.kernels.op import exact_refusal, exactly
from evalharness.stack.kernels.paged_decode import PagePlan, paths_in_pages
from evalharness.stack.kernels.tiles import GRAIN, TILE
from evalharness.stack.layers.linear import ExactLinear

Numerics = Literal["exact", "fast"]

BATCH_TOKENS = 1024
KV_BYTES = 2 << 30
MAX_TEXTS = 192
GUESSES = 3
"""Tokens that are guessed ahead of a text at most."""
GUESSING_ROWS = 16
"""Rows of running texts that a step has at most where tokens are guessed: so few cost little more than one."""
KEPT_SHARE = 4
"""A quarter of the memory at most holds what no job asks for yet."""


class Engine:
    """Serves jobs on one model; see `evalharness.stack.engine.requests` for the interface.

    `batch_tokens` bounds the tokens of a step, `kv_bytes` the memory of keys and values that outlive a step,
    `max_texts` the texts that run at once, `guesses` the tokens that are guessed ahead of a text; two engines of one
    model may share a `budget` and a `report`. With `record` (`recorded.cuda_graph`) steps of running texts alone are
    recorded and played again, where Triton computes attention. In `exact` numerics every result has the same bits
    whatever is computed beside it, on one kind of processor or GPU and build of torch and Triton. That takes a model
    after `pack`, and on a GPU Triton and a model that was packed for it.

    Raises:
        KernelError: `exact` cannot be had on the model's device.
        ValueError: the model was not packed for `exact`, and is on a GPU.
    """

    def __init__(
        self,
        model: Decoder,
        decode: Callable[[Sequence[int]], str],
        *,
        max_length: int | None = None,
        numerics: Numerics = "fast",
        batch_tokens: int = BATCH_TOKENS,
        kv_bytes: int = KV_BYTES,
        max_texts: int = MAX_TEXTS,
        guesses: int = GUESSES,
        budget: Budget | None = None,
        report: EngineReport | None = None,
        record: Recorder | None = None,
        check: bool = False,
    ) -> None:
        self.model = model
        self.decode = decode
        self.max_length = max_length or model.config.max_length
        self.exact = numerics == "exact"
        if self.exact:
            _require_exact(model)
        self.batch_tokens = batch_tokens
        self.max_texts = max_texts
        self.guesses = guesses
        self.report = report or EngineReport(kv_bytes_per_token=bytes_per_token(model.config, model.dtype))
        self.budget = budget or Budget(max(kv_bytes // self.report.kv_bytes_per_token, 1))
        self._check = check
        self._store = TokenStore(model.config, model.dtype, model.device, self.budget)
        self._tiles = TileStore(model.config, model.dtype, model.device, self.budget)
        self._recorded = None
        if record is not None:
            self._recorded = RecordedSteps(model, self._tiles, self._store, record, exact=self.exact)
        self._tree = PrefixTree(self._store.release)
        self._paths: dict[tuple[int, ...], SharedPath] = {}
        self._texts: list[RunningText] = []
        self._jobs: dict[RunningScore | RunningJob, None] = {}
        self._ready: deque[RunningJob] = deque()
        """Prompts that are computed and kept, and wait to run."""

    @torch.inference_mode()
    def run(self, arrivals: Callable[[], Iterable[Job]], more: Callable[[], bool] = lambda: False) -> None:
        """Serve until `arrivals` yields nothing and everything taken in is answered or cancelled.

        `more` says whether jobs like those seen so far are still to come: prefixes that they may share are kept.
        """
        try:
            with exactly(self.exact):
                self._serve(arrivals, more)
        except BaseException:
            self._clear()
            raise

    def _serve(self, arrivals: Callable[[], Iterable[Job]], more: Callable[[], bool]) -> None:
        while True:
            for job in arrivals():
                self._take_in(job)
            self._drop_cancelled()
            keep = more()
            if not keep:
                self._tree.release_kept(awaited=False)
            if not self._jobs:
                return
            self._step(keep)
            if self._check:
                self.check()

    # ----------------------------------------------------------------------- jobs

    def _take_in(self, job: Job) -> None:
        if isinstance(job, ScoreJob):
            if job.start >= len(job.ids):
                job.listener.begin()
                job.listener.done(Scores((), ()))
                return
            score = RunningScore(job)
            fed = job.ids[:-1]
            self._jobs[score] = None
            self.report.ask(len(fed))
            node: Node | None = self._tree.insert(fed, score, job.user)
            late: list[tuple[int, RunningScore, int, int]] = []
            while node is not None and node.end >= job.start:
                for at in range(max(job.start - 1, node.start), node.end):
                    offset, index, target = at - node.start, at + 1 - job.start, job.ids[at + 1]
                    if offset < node.computed:
                        late.append((node.slots[offset], score, index, target))
                    else:
                        node.wants.setdefault(offset, []).append((score, index, target))
                node = node.parent
            if late:
                score.begin()
                hidden_RW = self._store.hidden[[want[0] for want in late]]
                self._score(hidden_RW, [(row, *want[1:]) for row, want in enumerate(late)])
                self._finish_scores([score], keep=True)
            return
        running = RunningJob(job, self.max_length)
        need = running.tokens + len(job.ids)
        if need > self.budget.tokens:
            size, room = (count * self.report.kv_bytes_per_token / 2**20 for count in (need, self.budget.tokens))
            job.listener.failed(
                MemoryError(f"one request needs {size:,.0f} MiB for keys and values, of {room:,.0f} that they may take")
            )
            return
        self._jobs[running] = None
        self.report.ask(len(job.ids))
        node = self._tree.insert(job.ids, running, job.user)
        if node.computed == len(node.ids):
            self._ready.append(running)

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._jobs if job.job.listener.cancelled]:
            self._drop(job)

    def _drop(self, job: RunningScore | RunningJob) -> None:
        """Take a job out of service, unanswered."""
        del self._jobs[job]
        job.dead = True
        if job.end is not None:
            self._tree.finish(job, keep=False)
        if isinstance(job, RunningJob):
            if job in self._ready:
                self._ready.remove(job)
            for text in [text for text in self._texts if text.running is job]:
                self._end(text)

    def _clear(self) -> None:
        for text in list(self._texts):
            self._end(text)
        self._tree.clear()
        self._ready.clear()
        self._jobs.clear()

    # ----------------------------------------------------------------------- a step

    def _step(self, keep: bool) -> None:
        began = time.perf_counter()
        while self._ready and self._fits([self._ready[0]]):
            running = self._ready.popleft()
            if not _kept(running):
                continue  # its tokens made room for others; they are computed again
            hidden = self._store.hidden[running.end.slots[-1]][None]  # type: ignore[union-attr]
            self._start([running], hidden, keep)
        guesses = self._guess()
        lengths = [text.length + 1 + len(guess) for text, guess in zip(self._texts, guesses, strict=True)]
        tiles = [-(-(length - text.shared) // TILE) for text, length in zip(self._texts, lengths, strict=True)]
        self._tiles.extend([text.tiles for text in self._texts], tiles)
        self._tiles.compact(self._owners())
        plan = PagePlan(self._texts, [1 + len(guess) for guess in guesses], TILE, self.model.device)
        pieces = self._choose(plan.rows, self.batch_tokens)
        if pieces and self._too_many(pieces):
            # What cannot be kept must be used at once: the line goes on to the end of a sequence.
            pieces = self._choose(plan.rows, plan.rows + self.max_length)
        if not self._texts and not pieces:
            if self._ready:
                self._tree.reclaim(lambda: not self._fits([self._ready[0]]))
                if not self._fits([self._ready[0]]):
                    raise RuntimeError("a prompt that is computed finds no room to run")
            return
        kept, rows = self._keep(pieces, plan.rows, keep)
        hidden_TW = self._pass(plan, guesses, pieces, list(chain(*kept)), rows)
        prefilled = [(node.start + begin, node.start + end, begin == 0) for node, begin, end in pieces]
        drawn = self._deliver(plan, guesses, pieces, kept, hidden_TW, keep)
        self.report.step(drawn, plan.rows - drawn, prefilled, time.perf_counter() - began)
        self.report.peak_tokens = max(self.report.peak_tokens, self.budget.take_peak())

    def _too_many(self, pieces: list[Piece]) -> bool:
        """Whether the line breaks off within a node, and its tokens cannot all be kept."""
        node, _, end = pieces[-1]
        return end < len(node.ids) and sum(end - begin for _, begin, end in pieces) > self.budget.left

    def _choose(self, taken: int, batch_tokens: int) -> list[Piece]:
        """The pieces of the next line."""
        admitted: list[RunningJob] = []

        def admit(node: Node) -> bool:
            prompts = [job for job in node.ends if isinstance(job, RunningJob)]
            if prompts and not self._fits([*admitted, *prompts]) and (self._texts or admitted or self._ready):
                return False
            admitted.extend(prompts)
            return True

        return self._tree.pieces(max(1, batch_tokens - taken), admit)

    def _fits(self, prompts: Sequence[RunningJob]) -> bool:
        """Whether there is room for the texts of these prompts, to their last token, beside what is kept."""
        texts = sum(prompt.distinct for prompt in prompts)
        if self._texts and len(self._texts) + texts > self.max_texts:
            return False
        return sum(prompt.tokens for prompt in prompts) <= self.budget.left + self._tree.kept_tokens

    def _keep(self, pieces: list[Piece], first: int, keep: bool) -> tuple[list[list[int]], list[int]]:
        """Slots for the tokens of each piece that are needed after this step, and the rows of all of them."""
        ending: dict[Node, int] = {}
        for node, _, end in pieces:
            if end == len(node.ids):
                done = sum(isinstance(job, RunningScore) for job in node.ends)
                above: Node | None = node
                while above is not None:
                    ending[above] = ending.get(above, 0) + done
                    above = above.parent
        rows: list[int] = []
        counts: list[int] = []
        row = first
        spare = self.budget.tokens // KEPT_SHARE - self._tree.kept_tokens
        for node, begin, end in pieces:
            count = end - begin
            if node.pending == ending.get(node, 0):
                wanted = 0
                if keep and (node.shared or node.parent is self._tree.root or node.parent.shared):  # type: ignore[union-attr]
                    wanted = count if node.shared else min(count, max(0, HEAD - begin))
                    wanted = min(wanted, max(0, spare))
                    spare -= wanted
                count = wanted
            rows += range(row, row + count)
            counts.append(count)
            row += end - begin
        self._tree.reclaim(lambda: self.budget.left < len(rows))
        rows = rows[: self.budget.left]
        slots = iter(self._store.allocate(len(rows)))
        return [list(islice(slots, count)) for count in counts], rows

    def _stretches(self, pieces: list[Piece], first: int) -> list[Stretch]:
        sources: dict[Node, list[int]] = {}
        stretches = []
        row = first
        for node, begin, end in pieces:
            own = sources.setdefault(node, list(node.slots[:begin]))
            own += range(~row, ~row - (end - begin), -1)
            path: list[int] = []
            for above in node.path():
                path += sources.get(above, above.slots)
            stretches.append(Stretch(row, path, end - begin))
            row += end - begin
        return stretches

    def _pass(
        self,
        texts: PagePlan,
        guesses: Sequence[Sequence[int]],
        pieces: list[Piece],
        slots: list[int],
        rows: list[int],
    ) -> Tensor:
        device = self.model.device
        ids: list[int] = []
        for text, guess in zip(self._texts, guesses, strict=True):
            new = [text.ids[-1], *guess]
            ids += new + new[-1:] * (texts.width - len(new))
        positions = list(texts.positions)
        for node, begin, end in pieces:
            ids += node.ids[begin:end]
            positions += range(node.start + begin, node.start + end)
        if self._recorded is not None and self._recorded.possible and not pieces:
            return self._recorded.run(self._texts, [1 + len(guess) for guess in guesses], ids)
        padding = -len(ids) % GRAIN if self.exact else 0
        self.report.padding += padding
        line = torch.tensor([ids + [0] * padding, positions + [0] * padding], device=device)
        context = LineAttention(
            texts,
            self._tiles,
            LinePlan(self._stretches(pieces, texts.rows), texts.rows, device),
            self._store,
            torch.tensor(slots, dtype=torch.long, device=device),
            torch.tensor(rows, dtype=torch.long, device=device) - texts.rows,
            exact=self.exact,
        )
        hidden_TW: Tensor = self.model(line[0], line[1], context)
        self._store.hidden[slots] = hidden_TW[rows]
        return hidden_TW

    # ----------------------------------------------------------------------- results

    def _deliver(
        self,
        texts: PagePlan,
        guesses: Sequence[Sequence[int]],
        pieces: list[Piece],
        kept: list[list[int]],
        hidden_TW: Tensor,
        keep: bool,
    ) -> int:
        """Hand every row to who waits for it; how many tokens the running texts drew."""
        drawn = 0
        wants: list[tuple[int, RunningScore, int, int]] = []
        touched: dict[RunningScore, None] = {}
        prompts: list[RunningJob] = []
        prompt_rows: list[int] = []
        row = texts.rows
        for piece, slots in zip(pieces, kept, strict=True):
            node, begin, end = piece
            for offset in range(begin, end):
                for score, index, target in node.wants.pop(offset, ()):
                    wants.append((row + offset - begin, score, index, target))
                    touched[score] = None
            row += end - begin
            self._tree.computed(piece, slots)
            if end == len(node.ids):
                for job in node.ends:
                    job.begin()
                    if isinstance(job, RunningJob):
                        prompts.append(job)
                        prompt_rows.append(row - 1)
        self._score(hidden_TW, wants)
        self._finish_scores(touched, keep)
        for node in {piece.node: None for piece in pieces}:
            if node.pending and len(node.slots) < node.computed:
                self._tree.forget(node)
        if self._texts:
            for text in self._texts:
                text.length += 1
            drawn = self._draw(list(self._texts), hidden_TW[: texts.rows], guesses)
        for prompt, at in zip(prompts, prompt_rows, strict=True):
            if not _kept(prompt):
                continue  # there was no room for all of its tokens; they are computed again
            if self._fits([prompt]):
                self._start([prompt], hidden_TW[at : at + 1], keep)
            else:
                self._ready.append(prompt)
        return drawn

    def _score(self, hidden_TW: Tensor, wants: Sequence[tuple[int, RunningScore, int, int]]) -> None:
        if not wants:
            return
        rows = sorted({row for row, *_ in wants})
        place = {row: number for number, row in enumerate(rows)}
        scores, greedy = score_rows(
            self.model, hidden_TW[rows], [place[row] for row, *_ in wants], [want[3] for want in wants], self.exact
        )
        for (_, score, index, _), value, best in zip(wants, scores, greedy, strict=True):
            score.keep(index, value, best)

    def _finish_scores(self, scores: Iterable[RunningScore], keep: bool) -> None:
        for score in scores:
            if score.missing == 0 and not score.dead:
                del self._jobs[score]
                self._tree.finish(score, keep)
                score.answer()

    # ----------------------------------------------------------------------- generation

    def _start(self, prompts: Sequence[RunningJob], hidden_RW: Tensor, keep: bool) -> None:
        """Fork the texts of prompts whose tokens are kept, and draw their first tokens."""
        texts: list[RunningText] = []
        rows: list[int] = []
        needed = sum(prompt.tokens for prompt in prompts)
        self._tree.release_kept(lambda: self.budget.left < needed)
        for row, prompt in enumerate(prompts):
            path, slots = self._shared_path(prompt)
            shared = 0 if path is None else len(path.ids)
            for number in range(prompt.distinct):
                text = RunningText(prompt, number, self.decode, path)
                text.reserved = -(-(prompt.capacity - shared) // TILE)
                self._tiles.reserve(text.reserved)
                self._tiles.extend([text.tiles], [-(-len(slots) // TILE)])
                text.length = len(prompt.job.ids)
                if path is not None:
                    path.users += 1
                texts.append(text)
                rows.append(row)
            self._copy(slots, [text.tiles for text in texts if text.running is prompt])
            self._tree.finish(prompt, keep, awaited=prompt.job.continues)
        self._texts += texts
        self._texts.sort(key=lambda text: 0 if text.path is None else id(text.path))
        self._draw(texts, hidden_RW[rows])

    def _shared_path(self, prompt: RunningJob) -> tuple[SharedPath | None, list[int]]:
        """The path of whole tiles that others share with a prompt, and the slots of the rest of the prompt."""
        assert prompt.end is not None
        slots: list[int] = []
        shared = 0
        for node in prompt.end.path():
            slots += node.slots
            if node.shared or (prompt.distinct > 1 and node is prompt.end):
                shared = node.end
        shared = shared // TILE * TILE
        if shared == 0:
            return None, slots
        ids = tuple(prompt.job.ids[:shared])
        path = self._paths.get(ids)
        if path is None:
            path = self._paths[ids] = SharedPath(ids)
            self._tiles.reserve(shared // TILE)
            if paths_in_pages(self._store.layers[0]):
                self._tiles.extend([path.pages], [shared // TILE])
                self._copy(slots[:shared], [path.pages])
            else:
                where = torch.tensor(slots[:shared], device=self.model.device)
                path.layers = [
                    layer.index_select(1, where).transpose(1, 2).contiguous() for layer in self._store.layers
                ]
        return path, slots[shared:]

    def _owners(self) -> list[list[int]]:
        """The tiles of each text and of each shared path."""
        return [text.tiles for text in self._texts] + [path.pages for path in self._paths.values()]

    def _copy(self, slots: list[int], owners: list[list[int]]) -> None:
        """Put kept tokens into the first tiles of each owner."""
        if not slots:
            return
        device = self.model.device
        where = torch.tensor(slots, device=device)
        tiles = torch.tensor(owners, device=device)
        into = torch.arange(len(slots), device=device)
        for layer, store in zip(self._store.layers, self._tiles.layers, strict=True):
            tokens = layer.index_select(1, where)
            for own in tiles:
                store[0][own[into // TILE], :, into % TILE] = tokens[0]
                store[1][own[into // TILE], :, into % TILE] = tokens[1]

    def _guess(self) -> list[list[int]]:
        """What may come after the last token of each running text, while few of them run."""
        count = min(self.guesses, GUESSING_ROWS // len(self._texts) - 1) if self._texts else 0
        return [text.guess(count) if count > 0 else [] for text in self._texts]

    def _draw(
        self, texts: Sequence[RunningText], hidden_RW: Tensor, guesses: Sequence[Sequence[int]] | None = None
    ) -> int:
        """Draw the next tokens of every text, as long as they are the guessed ones; how many were drawn.

        Each text has as many rows as the one with most guesses: that of its last token, and those of its guesses.
        """
        guesses = guesses or [()] * len(texts)
        width = len(hidden_RW) // len(texts)
        padding = -len(hidden_RW) % GRAIN if self.exact else 0
        padded = torch.cat([hidden_RW, hidden_RW.new_zeros(padding, hidden_RW.shape[1])]) if padding else hidden_RW
        logits_RV = self.model.logits(padded)[: len(hidden_RW)]
        going = list(zip(range(0, len(hidden_RW), width), texts, guesses, strict=True))
        drawn = depth = 0
        while going:
            rows = [row + depth for row, _, _ in going]
            own_RV = logits_RV if len(rows) == len(logits_RV) else logits_RV[rows]
            ids = draw(own_RV, [text for _, text, _ in going])
            drawn += len(ids)
            told = asked_log_probabilities(own_RV, [text for _, text, _ in going], ids)
            right = []
            for number, (row, text, guess) in enumerate(going):
                id = ids[number]
                if text.running.dead:
                    continue  # another text of its job could not go on
                if text.running.job.continues and text.ids:
                    text.hidden.append(hidden_RW[row + depth].clone())
                if text.push(id, told.get(number)):
                    if text.running.job.continues:
                        self._put_back(text)
                    self._end(text)
                    if text.running.complete:
                        del self._jobs[text.running]
                        text.running.answer()
                elif text.constraint is not None and text.constraint.error is not None:
                    self._drop(text.running)
                    text.running.job.listener.failed(GrammarError(text.constraint.error))
                elif depth < len(guess) and guess[depth] == id:
                    text.length += 1
                    right.append((row, text, guess))
            going = right
            depth += 1
        return drawn

    def _put_back(self, text: RunningText) -> None:
        """Keep a finished text in the tree, where there is room: its next turn reads it again."""
        first, count = len(text.prompt), len(text.ids) - 1  # the last token drawn was never fed
        spare = self.budget.tokens // KEPT_SHARE - self._tree.kept_tokens
        if not 0 < count <= min(spare, self.budget.left):
            return
        slots = self._tree.put_back([*text.prompt, *text.ids[:count]], first, self._store.allocate)
        if not slots:
            return
        device = self.model.device
        into = torch.tensor(slots, device=device)
        last = first + count - text.shared
        places = torch.arange(last - len(slots), last, device=device)
        tiles = torch.tensor(text.tiles, device=device)[places // TILE]
        for layer, store in zip(self._store.layers, self._tiles.layers, strict=True):
            for side in (0, 1):
                layer[side][into] = store[side][tiles, :, places % TILE]
        self._store.hidden[into] = torch.stack(text.hidden[count - len(slots) :])

    def _end(self, text: RunningText) -> None:
        self._texts.remove(text)
        self._tiles.release(text.tiles, text.reserved)
        path = text.path
        if path is not None:
            path.users -= 1
            if path.users == 0:
                del self._paths[path.ids]
                self._tiles.release(path.pages, len(path.ids) // TILE)

    def forget(self) -> None:
        """Let go of what is kept for jobs that are still to come."""
        self._tree.release_kept()

    # ----------------------------------------------------------------------- integrity

    def check(self) -> None:
        """Recount who owns what from scratch.

        Raises:
            AssertionError: the engine contradicts itself.
        """
        self._tree.check()
        slots = [slot for node in self._tree.nodes() for slot in node.slots]
        free = self._store.free_slots()
        assert not free & set(slots), "a slot in use is free"
        assert len(free) + len(slots) == self._store.capacity, "a slot is lost"
        tiles = [tile for owned in self._owners() for tile in owned]
        assert len(tiles) == len(set(tiles)), "a tile has two owners"
        spare = self._tiles.free_tiles()
        assert not spare & set(tiles), "a tile in use is free"
        assert len(spare) + len(tiles) + 1 == self._tiles.capacity, "a tile is lost"
        for path in self._paths.values():
            assert path.users == sum(text.path is path for text in self._texts), "users of a path are miscounted"
        shared = sum(len(path.ids) for path in self._paths.values())
        reserved = sum(text.reserved for text in self._texts)
        assert all(len(text.tiles) <= text.reserved for text in self._texts), "a text has more tiles than it reserved"
        used = len(slots) + reserved * TILE + shared
        assert used == self.budget.used <= self.budget.tokens, "memory is miscounted"


def _require_exact(model: Decoder) -> None:
    """That nothing which `exact` needs on a GPU is missing."""
    if (refusal := exact_refusal(model.device, model.dtype)) is not None:
        raise KernelError(f"exact arithmetic cannot be had on {model.device}: {refusal}; leave it out, or say fast.")
    if model.device.type != "cpu" and not isinstance(model.head, ExactLinear):
        raise ValueError("an engine in exact arithmetic on a GPU needs a model after pack(exact=True)")


def _kept(prompt: RunningJob) -> bool:
    """Whether keys and values of all tokens of a prompt are there."""
    return prompt.end is not None and all(len(node.slots) == len(node.ids) for node in prompt.end.path())
