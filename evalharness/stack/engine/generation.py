"""Running generations: the texts of one job as they grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from evalharness.stack.engine.cache import SharedPath
from evalharness.stack.engine.lookup import PromptLookup
from evalharness.stack.engine.requests import FinishReason, GenerateJob, Generation, Likeliest, Sampling
from evalharness.stack.engine.sampler import generator, log_probabilities
from evalharness.stack.engine.text import TextStream
from evalharness.stack.engine.tree import Node
from evalharness.stack.kernels.tiles import TILE


class RunningJob:
    """A generation job in service; answers it when the last of its texts is done.

    `longest` is the longest sequence that the model takes.
    """

    def __init__(self, job: GenerateJob, longest: int) -> None:
        self.job = job
        self.limit = max(1, min(job.max_tokens, longest - len(job.ids)))
        """Most tokens that a text may draw."""
        self.texts: dict[int, Generation] = {}
        self.end: Node | None = None
        """The node that the prompt ends at, until the texts run."""
        self.dead = False
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.job.listener.begin()

    @property
    def distinct(self) -> int:
        """Texts that are computed: greedy decoding says the same n times."""
        return self.job.n if self.job.sampling.temperature > 0 else 1

    @property
    def capacity(self) -> int:
        """Tokens of a text whose keys and values are kept at most; the last one drawn is never fed."""
        return len(self.job.ids) + self.limit - 1

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values the texts keep at most, in whole tiles; several share those of the prompt."""
        shared = len(self.job.ids) // TILE * TILE if self.distinct > 1 else 0
        return shared + self.distinct * -(-(self.capacity - shared) // TILE) * TILE

    @property
    def complete(self) -> bool:
        return len(self.texts) == self.distinct

    def answer(self) -> None:
        self.begin()
        self.job.listener.done(tuple(self.texts[number % self.distinct] for number in range(self.job.n)))


class RunningText:
    """One text that grows token by token."""

    def __init__(
        self, running: RunningJob, number: int, decode: Callable[[Sequence[int]], str], path: SharedPath | None
    ) -> None:
        self.running = running
        self.number = number
        self.path = path
        self.tiles: list[int] = []
        self.reserved = 0
        """Tiles that it may come to have."""
        self.length = 0
        self.prompt = running.job.ids
        self.ids: list[int] = []
        self.random: torch.Generator = generator(running.job.sampling.seed, number)
        self.stream = TextStream(decode, running.job.stop)
        self.constraint = None if running.job.constrain is None else running.job.constrain()
        self.hidden: list[torch.Tensor] = []
        """Last hidden states of its tokens, where a later job may go on from it."""
        self._lookup: PromptLookup | None = None
        self._log_probabilities: list[float] = []
        self._likeliest: list[Likeliest] = []

    @property
    def shared(self) -> int:
        """Positions of its shared path; its own tiles begin behind them."""
        return 0 if self.path is None else len(self.path.ids)

    @property
    def sampling(self) -> Sampling:
        return self.running.job.sampling

    def guess(self, count: int) -> list[int]:
        """Up to `count` tokens that may come next, none that the text has no room for."""
        if self._lookup is None:
            self._lookup = PromptLookup([*self.prompt, *self.ids])
        return self._lookup.guess(min(count, self.running.limit - len(self.ids) - 1))

    def push(self, id: int, log_probability: tuple[float, Likeliest] | None = None) -> bool:
        """Take the next token in; whether the text is done."""
        job = self.running.job
        self.ids.append(id)
        if self._lookup is not None:
            self._lookup.push(id)
        if log_probability is not None:
            self._log_probabilities.append(log_probability[0])
            self._likeliest.append(log_probability[1])
        if self.constraint is not None and id not in job.eos_ids:
            self.constraint.push(id)
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
        reason = "stop" if stop is not None else reason
        asked = self.running.job.log_probabilities is not None
        self.running.texts[self.number] = Generation(
            tuple(self.ids),
            text,
            reason,
            stop,
            log_probabilities=tuple(self._log_probabilities) if asked else None,
            likeliest=tuple(self._likeliest),
        )


def asked_log_probabilities(
    logits_RV: torch.Tensor, texts: Sequence[RunningText], ids: Sequence[int]
) -> dict[int, tuple[float, Likeliest]]:
    """By row: what a text's job asks about the token that was drawn from it."""
    asked = [row for row, text in enumerate(texts) if text.running.job.log_probabilities is not None]
    if not asked:
        return {}
    most = max(texts[row].running.job.log_probabilities or 0 for row in asked)
    found = log_probabilities(logits_RV[asked], [ids[row] for row in asked], most)
    return {
        row: (value, likeliest[: texts[row].running.job.log_probabilities])
        for row, (value, likeliest) in zip(asked, found, strict=True)
    }
