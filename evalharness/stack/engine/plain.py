"""The plain engine: continuous batching over one line of tokens, without sharing of prefixes.

Every step is one pass over a line: one token of each running text, then whole prompts and whole sequences to
score, in the order they came, up to about `batch_tokens`. Sequences lie one after another without padding, so
no score depends on its neighbours but by the rounding of matrix products, and results come in order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.cache import KeyValueRows, LineAttention, NextTokens, Segment, bytes_per_token
from evalharness.stack.engine.generation import RunningJob, RunningText
from evalharness.stack.engine.requests import GenerateJob, Job, ScoreJob, Scores
from evalharness.stack.engine.scoring import ScoreGroup

BATCH_TOKENS = 1024
KV_BYTES = 2 << 30
MAX_TEXTS = 64


class PlainEngine:
    """Serves jobs on one model; see `evalharness.stack.engine.requests` for the interface.

    `batch_tokens` bounds the tokens of a step (a longer sequence makes a step of its own), `kv_bytes` the memory
    of keys and values (one job that needs more runs alone), `max_texts` the texts that run at once.
    """

    def __init__(
        self,
        model: Decoder,
        decode: Callable[[Sequence[int]], str],
        *,
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        kv_bytes: int = KV_BYTES,
        max_texts: int = MAX_TEXTS,
    ) -> None:
        self.model = model
        self.decode = decode
        self.max_length = max_length or model.config.max_length
        self.batch_tokens = batch_tokens
        self.kv_tokens = kv_bytes // bytes_per_token(model.config, model.dtype)
        self.max_texts = max_texts
        self._scores: dict[tuple[int, ...], ScoreGroup] = {}
        self._prompts: deque[GenerateJob] = deque()
        self._texts: list[RunningText] = []
        """The running texts; text i has row i of `_rows`."""
        self._rows = KeyValueRows(model.config, model.dtype, model.device)

    @torch.inference_mode()
    def run(self, arrivals: Callable[[], Iterable[Job]]) -> None:
        """Serve until `arrivals` yields nothing and everything taken in is answered or cancelled."""
        try:
            while True:
                for job in arrivals():
                    self._take_in(job)
                self._drop_cancelled()
                if not (self._scores or self._prompts or self._texts):
                    return
                self._step()
        finally:
            self._scores.clear()
            self._prompts.clear()
            self._keep(set())

    def _take_in(self, job: Job) -> None:
        if isinstance(job, ScoreJob) and job.start >= len(job.ids):
            job.listener.begin()
            job.listener.done(Scores((), ()))
        elif isinstance(job, ScoreJob):
            fed = job.ids[:-1]
            self._scores.setdefault(fed, ScoreGroup(fed)).jobs.append(job)
        else:
            self._prompts.append(job)

    def _drop_cancelled(self) -> None:
        for group in list(self._scores.values()):
            group.jobs = [job for job in group.jobs if not job.listener.cancelled]
            if not group.jobs:
                del self._scores[group.fed]
        self._prompts = deque(job for job in self._prompts if not job.listener.cancelled)
        self._keep({text for text in self._texts if not text.running.job.listener.cancelled})

    def _step(self) -> None:
        """One pass: choose the line, compute it, hand every row to who waits for it."""
        running = len(self._texts)
        prompts = self._admit(self.batch_tokens - running)
        room = self.batch_tokens - running - sum(len(prompt.job.ids) for prompt in prompts)
        groups = self._next_groups(room, alone=not running and not prompts)

        first_rows = self._make_rows(prompts)
        segments = [
            Segment(len(prompt.job.ids), self._rows.view(row)) for prompt, row in zip(prompts, first_rows, strict=True)
        ]
        segments += [Segment(len(group.fed)) for group in groups]
        ids = [text.ids[-1] for text in self._texts]
        for fed in [*(prompt.job.ids for prompt in prompts), *(group.fed for group in groups)]:
            ids += fed
        hidden_TW = self._pass(ids, segments)

        begin = running + sum(len(prompt.job.ids) for prompt in prompts)
        self._generate(hidden_TW[:begin], prompts)
        for group in groups:
            end = begin + len(group.fed)
            group.deliver(self.model, hidden_TW[begin:end])
            begin = end

    def _pass(self, ids: list[int], segments: list[Segment]) -> Tensor:
        device = self.model.device
        line = LineAttention(segments, NextTokens(self._rows, device) if self._texts else None)
        hidden_TW: Tensor = self.model(torch.tensor(ids, device=device), line.positions(device), line)
        return hidden_TW

    # ----------------------------------------------------------------------- scoring

    def _next_groups(self, room: int, alone: bool) -> list[ScoreGroup]:
        """Groups in order of arrival that fit; the first one always where the line is empty."""
        chosen: list[ScoreGroup] = []
        for group in self._scores.values():
            if len(group.fed) > room and not (alone and not chosen):
                break
            chosen.append(group)
            room -= len(group.fed)
        for group in chosen:
            del self._scores[group.fed]
            for job in group.jobs:
                job.listener.begin()
        return chosen

    # ----------------------------------------------------------------------- generation

    def _admit(self, room: int) -> list[RunningJob]:
        """Prompts in order of arrival for which there is room in the line and in memory; always one where none runs."""
        admitted: list[RunningJob] = []
        count = len(self._texts)
        capacity = max((text.running.capacity for text in self._texts), default=0)
        while self._prompts:
            prompt = RunningJob(self._prompts[0], self.max_length)
            rows, longest = count + prompt.distinct, max(capacity, prompt.capacity)
            fits = rows <= self.max_texts and rows * longest <= self.kv_tokens and len(prompt.job.ids) <= room
            if count and not fits:
                break
            self._prompts.popleft().listener.begin()
            admitted.append(prompt)
            count, capacity = rows, longest
            room -= len(prompt.job.ids)
        return admitted

    def _make_rows(self, prompts: list[RunningJob]) -> list[int]:
        """Make room for the texts of new prompts; the first row of each prompt."""
        if not prompts:
            return []
        count = len(self._texts)
        first_rows = []
        for prompt in prompts:
            first_rows.append(count)
            count += prompt.distinct
        capacity = max(running.capacity for running in [*(text.running for text in self._texts), *prompts])
        rows = self._rows
        if count > rows.rows or capacity > rows.capacity or count * rows.capacity > self.kv_tokens:
            # Half as many again, where memory allows: rows are added a few a step, and each resizing copies all.
            spare = min(rows.rows * 3 // 2, self.max_texts, self.kv_tokens // capacity)
            rows.resize(max(count, spare), capacity)
        return first_rows

    def _generate(self, hidden_TW: Tensor, prompts: list[RunningJob]) -> None:
        """Draw the next token of every running text, and the first of every text of the new prompts."""
        wanted = list(range(len(self._texts)))
        readers = list(wanted)
        self._rows.lengths = [length + 1 for length in self._rows.lengths]
        end = len(self._texts)
        for prompt in prompts:
            end += len(prompt.job.ids)
            readers += [len(wanted)] * prompt.distinct
            wanted.append(end - 1)
            self._add_texts(prompt)
        if not wanted:
            return
        logits_RV = self.model.logits(hidden_TW[wanted])
        pairs = zip(self._texts, readers, strict=True)
        self._keep({text for text, row in pairs if not text.draw(logits_RV[row])})

    def _add_texts(self, prompt: RunningJob) -> None:
        """The texts of a prompt that has been computed into the next free row."""
        first, length = len(self._texts), len(prompt.job.ids)
        for number in range(prompt.distinct):
            if number:
                self._rows.copy(first, first + number, length)
            self._rows.lengths.append(length)
            self._texts.append(RunningText(prompt, number, self.decode))

    def _keep(self, alive: set[RunningText]) -> None:
        """Drop the other texts, and close the gaps: the last text takes the place and the row of one that leaves."""
        for row in reversed(range(len(self._texts))):
            if self._texts[row] not in alive:
                self._texts[row] = self._texts[-1]
                self._texts.pop()
                self._rows.remove(row)
        if not self._texts and self._rows.rows:
            self._rows.resize(0, 0)
