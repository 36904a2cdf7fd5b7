"""The plain loop: serves the engine's jobs on a model that the engine does not serve.

It reads one prompt after another, each once for all who ask about it, and then lets up to `MAX_TEXTS` texts grow side
by side, a token of each in one pass. It has no prefix tree, no `exact` arithmetic, no guesses and no grammars.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Generic

import torch
from torch import Tensor

from evalharness.stack.engine.generation import RunningJob, RunningText, asked_log_probabilities
from evalharness.stack.engine.report import EngineReport
from evalharness.stack.engine.requests import Job, ScoreJob, Scores
from evalharness.stack.engine.sampler import draw
from evalharness.stack.engine.scoring import RunningScore, score_rows
from evalharness.stack.errors import NoNumbersError
from evalharness.stack.plain.model import PlainModel, S

MAX_TEXTS = 16
"""Texts that grow side by side: their rows cost a processor little more than one, and each has a state of its own."""
TOKENS_AT_ONCE = 1024
"""Tokens of continuations that are computed together, where one is not longer."""


class PlainLoop(Generic[S]):
    """Serves jobs on one model; see `evalharness.stack.engine.requests` for the interface.

    Args:
        prompt_end: tokens put behind every prompt: what an encoder's tokenizer puts behind a text.
    """

    def __init__(
        self,
        model: PlainModel[S],
        decode: Callable[[Sequence[int]], str],
        *,
        max_length: int,
        prompt_end: Sequence[int] = (),
    ) -> None:
        self.model = model
        self.decode = decode
        self.max_length = max_length
        self.prompt_end = tuple(prompt_end)
        self.report = EngineReport(kv_bytes_per_token=0)
        self._prompts: OrderedDict[tuple[int, ...], list[RunningScore | RunningJob]] = OrderedDict()
        """Who asks about prompts that are not read yet."""
        self._texts: list[tuple[RunningText, S]] = []
        """Texts that grow, and those that wait to, each with the state behind its last token."""

    @torch.inference_mode()
    def run(self, arrivals: Callable[[], Iterable[Job]], more: Callable[[], bool] = lambda: False) -> None:
        """Serve until `arrivals` yields nothing and everything taken in is answered or cancelled."""
        try:
            while True:
                for job in arrivals():
                    self._take_in(job)
                self._texts = [(text, state) for text, state in self._texts if _wanted(text.running)]
                if self._prompts and len(self._texts) < MAX_TEXTS:
                    prompt, asked = self._prompts.popitem(last=False)
                    if wanted := [running for running in asked if _wanted(running)]:
                        self._read(prompt, wanted)
                elif self._texts:
                    self._step()
                else:
                    return
        except BaseException:
            self._prompts.clear()
            self._texts.clear()
            raise

    def forget(self) -> None:
        """Nothing is kept for jobs that are still to come."""

    # ----------------------------------------------------------------------- prompts

    def _take_in(self, job: Job) -> None:
        if isinstance(job, ScoreJob) and job.start >= len(job.ids):
            job.listener.begin()
            job.listener.done(Scores((), ()))
            return
        if isinstance(job, ScoreJob):
            self.report.ask(len(job.ids) - 1)
            self._prompts.setdefault(job.ids[: job.start], []).append(RunningScore(job))
        else:
            self.report.ask(len(job.ids))
            room = self.max_length + (len(job.ids) if self.model.speaks_apart else 0)
            self._prompts.setdefault(job.ids, []).append(RunningJob(job, room))

    def _read(self, prompt: tuple[int, ...], wanted: Sequence[RunningScore | RunningJob]) -> None:
        """Read a prompt, answer who asks for scores behind it, and begin the texts of who asks for some."""
        began = time.perf_counter()
        for running in wanted:
            running.begin()
        state = self.model.begin((*prompt, *self.prompt_end))
        computed = self._score(state, [running for running in wanted if isinstance(running, RunningScore)])
        for running in wanted:
            if isinstance(running, RunningJob):
                self._texts += [
                    (RunningText(running, number, self.decode, None), state) for number in range(running.distinct)
                ]
        parts = [(0, len(prompt), True), *((len(prompt), len(prompt) + count, True) for count in computed)]
        self.report.step(0, 0, parts, time.perf_counter() - began)

    def _score(self, state: S, scores: Sequence[RunningScore]) -> list[int]:
        """Answer those who ask behind one prompt; how many tokens were computed of each distinct continuation."""
        if not scores:
            return []
        said = [score.job.ids[score.job.start :] for score in scores]
        # The last token is scored and never fed; the first follows the prompt.
        fed = dict.fromkeys(tokens[:-1] for tokens in said if len(tokens) > 1)
        hidden, places = [state.hidden_W[None]], {}
        row = 1
        for batch in _batches(list(fed)):
            for tokens, hidden_NW in zip(batch, self.model.follow([state] * len(batch), batch), strict=True):
                places[tokens] = range(row, row + len(tokens))
                hidden.append(hidden_NW)
                row += len(tokens)
        rows = [at for tokens in said for at in (0, *places.get(tokens[:-1], ()))]
        targets = [id for tokens in said for id in tokens]
        values, greedy = score_rows(self.model, torch.cat(hidden), rows, targets)
        found = zip(values, greedy, strict=True)
        for score, tokens in zip(scores, said, strict=True):
            told = list(islice(found, len(tokens)))
            if any(math.isnan(value) for value, _ in told):
                score.job.listener.failed(_no_numbers())
                continue
            for index, (value, best) in enumerate(told):
                score.keep(index, value, best)
            score.answer()
        return [len(tokens) for tokens in fed]

    # ----------------------------------------------------------------------- texts

    def _step(self) -> None:
        """Draw the next token of the texts that grow, and feed it where a text goes on."""
        began = time.perf_counter()
        growing, waiting = self._texts[:MAX_TEXTS], self._texts[MAX_TEXTS:]
        logits_RV = self.model.logits(torch.stack([state.hidden_W for _, state in growing]))
        growing, logits_RV = self._with_numbers(growing, logits_RV)
        texts = [text for text, _ in growing]
        ids = draw(logits_RV, texts) if texts else []
        told = asked_log_probabilities(logits_RV, texts, ids)
        on: list[tuple[RunningText, S]] = []
        for row, (text, state) in enumerate(growing):
            if not text.push(ids[row], told.get(row)):
                on.append((text, state))
            elif text.running.complete:
                text.running.answer()
        states = self.model.step([state for _, state in on], [text.ids[-1] for text, _ in on]) if on else []
        self._texts = [(text, state) for (text, _), state in zip(on, states, strict=True)] + waiting
        self.report.step(len(ids), 0, (), time.perf_counter() - began)

    def _with_numbers(
        self, growing: list[tuple[RunningText, S]], logits_RV: Tensor
    ) -> tuple[list[tuple[RunningText, S]], Tensor]:
        """The texts whose logits are numbers; the jobs of the others fail."""
        broken = logits_RV.isnan().any(-1).tolist()
        if not any(broken):
            return growing, logits_RV
        dead = {text.running for (text, _), bad in zip(growing, broken, strict=True) if bad}
        for running in dead:
            running.dead = True
            running.job.listener.failed(_no_numbers())
        rows = [row for row, (text, _) in enumerate(growing) if text.running not in dead]
        return [growing[row] for row in rows], logits_RV[rows]


def _wanted(running: RunningScore | RunningJob) -> bool:
    return not running.dead and not running.job.listener.cancelled


def _batches(continuations: Sequence[tuple[int, ...]]) -> Iterable[list[tuple[int, ...]]]:
    """Those of at most `TOKENS_AT_ONCE` tokens together."""
    batch: list[tuple[int, ...]] = []
    for tokens in continuations:
        if batch and sum(map(len, batch)) + len(tokens) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(tokens)
    if batch:
        yield batch


def _no_numbers() -> NoNumbersError:
    return NoNumbersError("the model's logits are not numbers; its weights are damaged, or --dtype is too small.")
