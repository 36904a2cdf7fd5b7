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
from evalharness.stack.engine.cache import KeyValueCache, LineAttention, Segment, bytes_per_token
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
        self._reserved: dict[RunningJob, int] = {}

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
            self._texts.clear()
            self._reserved.clear()

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
        self._texts = [text for text in self._texts if not text.running.job.listener.cancelled]
        self._release()

    def _step(self) -> None:
        """One pass: choose the line, compute it, hand every row to who waits for it."""
        texts = self._texts
        room = self.batch_tokens - len(texts)
        prompts = self._admit(room)
        room -= sum(len(running.job.ids) for running, _ in prompts)
        groups = self._next_groups(room, alone=not texts and not prompts)

        segments = [Segment(1, text.cache) for text in texts]
        segments += [Segment(len(running.job.ids), cache) for running, cache in prompts]
        segments += [Segment(len(group.fed)) for group in groups]
        ids = [text.ids[-1] for text in texts]
        for fed in [*(running.job.ids for running, _ in prompts), *(group.fed for group in groups)]:
            ids += fed
        hidden_TW = self._pass(ids, segments)

        begin = len(texts) + sum(len(running.job.ids) for running, _ in prompts)
        self._generate(hidden_TW[:begin], texts, prompts)
        for group in groups:
            end = begin + len(group.fed)
            group.deliver(self.model, hidden_TW[begin:end])
            begin = end

    def _pass(self, ids: list[int], segments: list[Segment]) -> Tensor:
        line = LineAttention(segments)
        device = self.model.device
        hidden_TW: Tensor = self.model(torch.tensor(ids, device=device), line.positions(device), line)
        line.advance()
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

    def _admit(self, room: int) -> list[tuple[RunningJob, KeyValueCache]]:
        """Prompts in order of arrival for which there is room in the line and in memory."""
        admitted: list[tuple[RunningJob, KeyValueCache]] = []
        count = len(self._texts)
        while self._prompts:
            running = RunningJob(self._prompts[0])
            prompt = len(running.job.ids)
            need = running.distinct * self._capacity(running.job)
            idle = count == 0
            fits = count + running.distinct <= self.max_texts and sum(self._reserved.values()) + need <= self.kv_tokens
            if not (idle or (fits and prompt <= room)):
                break
            self._prompts.popleft()
            running.job.listener.begin()
            self._reserved[running] = need
            cache = KeyValueCache(self.model.config, self._capacity(running.job), self.model.dtype, self.model.device)
            admitted.append((running, cache))
            count += running.distinct
            room -= prompt
        return admitted

    def _capacity(self, job: GenerateJob) -> int:
        """Tokens that a text of the job can come to; the last one drawn is never fed."""
        return len(job.ids) + self._limit(job) - 1

    def _limit(self, job: GenerateJob) -> int:
        return max(1, min(job.max_tokens, self.max_length - len(job.ids)))

    def _generate(
        self, hidden_TW: Tensor, texts: list[RunningText], prompts: list[tuple[RunningJob, KeyValueCache]]
    ) -> None:
        """Draw the next token of every running text, and the first of every text of the new prompts."""
        rows = list(range(len(texts)))
        for running, _ in prompts:
            rows.append((rows[-1] if rows else -1) + len(running.job.ids))
        if not rows:
            return
        logits_RV = self.model.logits(hidden_TW[rows])
        drawers = [(text, row) for row, text in enumerate(texts)]
        for row, (running, cache) in enumerate(prompts, start=len(texts)):
            drawers += [(text, row) for text in self._fork(running, cache)]
        self._texts = [text for text, row in drawers if not text.draw(logits_RV[row])]
        self._release()

    def _fork(self, running: RunningJob, cache: KeyValueCache) -> list[RunningText]:
        caches = [cache] + [cache.fork() for _ in range(running.distinct - 1)]
        limit = self._limit(running.job)
        return [RunningText(running, number, cache, limit, self.decode) for number, cache in enumerate(caches)]

    def _release(self) -> None:
        """Give back the memory of jobs of which no text runs any more."""
        alive = {text.running for text in self._texts}
        self._reserved = {running: need for running, need in self._reserved.items() if running in alive}
