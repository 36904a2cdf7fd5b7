"""Texts that grow side by side, each drawn by its own request: what stands in the library's `generate`.

The draws are those of our own stack (`evalharness.stack.engine.sampler`): a text depends on its own logits, history
and seed, and on nothing beside it.

Letters in names: R rows, V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from evalharness.errors import DataError, UsageError
from evalharness.stack.engine.requests import Constraint, Likeliest, Sampling
from evalharness.stack.engine.sampler import draw, generator, log_probabilities
from evalharness.stack.engine.text import TextStream
from evalharness.types import Completion, Completions, FinishReason, GenerateRequest, Ticket


class TextJob:
    """A request for texts, and those that are done."""

    def __init__(
        self,
        ticket: Ticket,
        request: GenerateRequest,
        prompt: tuple[int, ...],
        *,
        most_tokens: int,
        kept: int,
        eos_ids: frozenset[int],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        """Raises a `UsageError` where texts are to follow a grammar."""
        asked = request.sampling
        if asked.json_schema is not None or asked.regex is not None:
            raise UsageError(
                "this backend holds no text to a JSON schema or a regular expression; the stack and vllm do."
            )
        self.ticket = ticket
        self.request = request
        self.prompt = prompt
        self.most_tokens = most_tokens
        self.kept = kept
        """Positions of the prompt whose logits the model computes."""
        self.eos_ids = eos_ids
        self.decode = decode
        self.sampling = Sampling(**{field.name: getattr(asked, field.name) for field in fields(Sampling)})
        self.done: dict[int, Completion] = {}
        self.begun = False
        self.failed = False

    def texts(self) -> list[Text]:
        """Those to be computed: greedy decoding says the same n times."""
        return [Text(self, number) for number in range(self.request.n if self.sampling.temperature > 0 else 1)]

    def finish(self, number: int, completion: Completion) -> None:
        """One text is done; the last one answers the request."""
        self.done[number] = completion
        computed = self.request.n if self.sampling.temperature > 0 else 1
        if len(self.done) == computed and not self.failed:
            completions = tuple(self.done[number % computed] for number in range(self.request.n))
            self.ticket.resolve(Completions(completions))

    def fail(self, error: Exception) -> None:
        if not self.failed:
            self.failed = True
            self.ticket.fail(error)


class Text:
    """One text of a job; see `batch_size.Row` and `evalharness.stack.engine.sampler.Drawing`."""

    constraint: Constraint | None = None

    def __init__(self, job: TextJob, number: int) -> None:
        self.job = job
        self.number = number
        self._told = 0
        """Tokens that `on_tokens` was called with."""
        self.restart()

    def restart(self) -> None:
        """Begin again with nothing drawn: the batch that it was in did not fit."""
        self.ids: list[int] = []
        self.random = generator(self.sampling.seed, self.number)
        self._stream = TextStream(self.job.decode, self.job.request.sampling.stop)
        self._log_probabilities: list[float] = []
        self._likeliest: list[Likeliest] = []

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.job.prompt

    @property
    def sampling(self) -> Sampling:
        return self.job.sampling

    @property
    def tokens(self) -> int:
        return len(self.prompt) + self.job.most_tokens

    @property
    def kept(self) -> int:
        return self.job.kept

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.prompt),)

    @property
    def wanted(self) -> bool:
        return self.number not in self.job.done and not self.job.failed and not self.job.ticket.cancelled

    def begin(self) -> None:
        if not self.job.begun:
            self.job.begun = True
            self.job.ticket.begin()

    def fail(self, error: Exception) -> None:
        self.job.fail(error)

    def push(self, id: int, log_probability: tuple[float, Likeliest] | None) -> None:
        """Take the next token in, and finish where it ends the text."""
        self.ids.append(id)
        if log_probability is not None:
            self._log_probabilities.append(log_probability[0])
            self._likeliest.append(log_probability[1])
        on_tokens = self.job.request.on_tokens
        if on_tokens is not None and len(self.ids) > self._told:
            self._told += 1
            on_tokens(self.number, [id])
        if id in self.job.eos_ids:
            self._finish("eos")
        elif self._stream.push(id):
            self._finish("stop")
        elif len(self.ids) >= self.job.most_tokens:
            self._finish("length")

    def _finish(self, reason: FinishReason) -> None:
        text, stop = self._stream.finish()
        asked = self.job.request.sampling.log_probabilities is not None
        self.job.finish(
            self.number,
            Completion(
                text=text,
                ids=tuple(self.ids),
                finish_reason=reason if stop is None else "stop",
                stop=stop,
                log_probabilities=tuple(self._log_probabilities) if asked else None,
                likeliest=tuple(self._likeliest),
            ),
        )


class RowSampler:
    """Chooses the next token of every row: a logits processor that leaves one token possible, and a stopping
    criterion."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = texts
        for text in texts:
            text.restart()

    def __call__(self, ids_RT: Tensor, logits_RV: Tensor) -> Tensor:
        self._draw(logits_RV)
        # A row that is done goes on with what it said last; nobody looks.
        chosen_R = torch.tensor([text.ids[-1] if text.ids else 0 for text in self._texts], device=logits_RV.device)
        return torch.full_like(logits_RV, -torch.inf).scatter_(1, chosen_R[:, None], 0.0)

    def stopped(self, ids_RT: Tensor, scores: object, **options: object) -> Tensor:
        """Which rows are done."""
        return torch.tensor([not text.wanted for text in self._texts], device=ids_RT.device)

    def _draw(self, logits_RV: Tensor) -> None:
        rows = [row for row, text in enumerate(self._texts) if text.wanted]
        broken = logits_RV.isnan().any(-1).tolist()
        for row in rows:
            if broken[row]:
                self._texts[row].fail(
                    DataError("the model's logits are not numbers; its weights are damaged, or --dtype is too small.")
                )
        rows = [row for row in rows if self._texts[row].wanted]
        if not rows:
            return
        own_RV = logits_RV if len(rows) == len(self._texts) else logits_RV[rows]
        texts = [self._texts[row] for row in rows]
        ids = draw(own_RV, texts)
        told = _told(own_RV, texts, ids)
        for row, (text, id) in enumerate(zip(texts, ids, strict=True)):
            text.push(id, told.get(row))


def _told(logits_RV: Tensor, texts: Sequence[Text], ids: Sequence[int]) -> dict[int, tuple[float, Likeliest]]:
    """By row: the log-probability of the token drawn and of the likeliest ones, where they are asked for."""
    most = {
        row: count
        for row, text in enumerate(texts)
        if (count := text.job.request.sampling.log_probabilities) is not None
    }
    if not most:
        return {}
    rows = list(most)
    found = log_probabilities(logits_RV[rows], [ids[row] for row in rows], max(most.values()))
    return {row: (value, likeliest[: most[row]]) for row, (value, likeliest) in zip(rows, found, strict=True)}
