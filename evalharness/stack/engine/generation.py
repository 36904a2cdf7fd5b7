"""Running generations: the texts of one job as they grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from evalharness.stack.engine.requests import FinishReason, GenerateJob, Generation
from evalharness.stack.engine.sampler import generator, sample
from evalharness.stack.engine.text import TextStream


class RunningJob:
    """A generation job in service; answers it when the last of its texts is done.

    `longest` is the longest sequence that the model takes.
    """

    def __init__(self, job: GenerateJob, longest: int) -> None:
        self.job = job
        self.limit = max(1, min(job.max_tokens, longest - len(job.ids)))
        """Most tokens that a text may draw."""
        self.texts: dict[int, Generation] = {}

    @property
    def distinct(self) -> int:
        """Texts that are computed: greedy decoding says the same n times."""
        return self.job.n if self.job.sampling.temperature > 0 else 1

    @property
    def capacity(self) -> int:
        """Tokens of a text whose keys and values are kept at most; the last one drawn is never fed."""
        return len(self.job.ids) + self.limit - 1

    def keep(self, number: int, text: Generation) -> None:
        self.texts[number] = text
        if len(self.texts) == self.distinct:
            self.job.listener.done(tuple(self.texts[number % self.distinct] for number in range(self.job.n)))


class RunningText:
    """One text that grows token by token."""

    def __init__(self, running: RunningJob, number: int, decode: Callable[[Sequence[int]], str]) -> None:
        self.running = running
        self.number = number
        self.ids: list[int] = []
        self.random: torch.Generator = generator(running.job.sampling.seed, number)
        self.stream = TextStream(decode, running.job.stop)

    def draw(self, logits_V: Tensor) -> bool:
        """Draw the next token from its logits; whether the text is done, and then told so to its job."""
        job = self.running.job
        id = sample(logits_V, job.sampling, self.random)
        self.ids.append(id)
        if job.on_tokens is not None:
            job.on_tokens(self.number, [id])
        if id in job.eos_ids:
            self._finish("eos")
        elif self.stream.push(id):
            self._finish("stop")
        elif len(self.ids) >= self.running.limit:
            self._finish("length")
        else:
            return False
        return True

    def _finish(self, reason: FinishReason) -> None:
        text, stop = self.stream.finish()
        self.running.keep(self.number, Generation(tuple(self.ids), text, "stop" if stop is not None else reason, stop))
