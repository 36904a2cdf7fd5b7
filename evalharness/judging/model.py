"""A model as a judge: any backend, asked in a conversation of its own about one attempt at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalharness.elicitation.base import Asker
from evalharness.errors import UsageError
from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.types import (
    Backend,
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Message,
    Origin,
    Prompt,
    Sampling,
    ScoreRequest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeModel:
    """The judge model of a run, as one attempt's judges see it.

    Messages go through the model's own chat template, or to a server as they are; a model without a template reads
    them as plain text. A prompt that is longer than the model's context fails, since what is cut may be the question.
    """

    info: BackendInfo
    prompter: Prompter
    asker: Asker
    origin: Origin
    """Of the attempt; each question brings the number of its own call."""
    seed: int = 0

    def of(self, origin: Origin) -> JudgeModel:
        """The same judge before another attempt."""
        return replace(self, origin=origin)

    async def generate(
        self, messages: Sequence[Message], *, call: int, sampling: Sampling, n: int = 1
    ) -> tuple[Completion, ...]:
        """`n` completions of a conversation.

        Args:
            call: a number of its own for each question about one attempt; it decides the seed.

        Raises:
            UsageError: the answer alone fills the model's context.
            DataError: the conversation does not fit it.
            EvalHarnessError: the model, or its server, failed.
        """
        origin = replace(self.origin, call=call)
        prompt = self._prompt(messages, reserve=sampling.max_tokens)
        sampling = replace(sampling, seed=self._seed_of(origin))
        result = await self.asker.ask(GenerateRequest(origin=origin, prompt=prompt, sampling=sampling, n=n))
        assert isinstance(result, Completions)
        return result.completions

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str], *, call: int
    ) -> tuple[Likelihood, ...]:
        """Log-likelihoods of several answers to one conversation, in their order.

        Raises:
            EvalHarnessError: as for `generate`; a server that gives no log-likelihoods refuses.
        """
        context = self._prompt(messages, reserve=0)
        origin = replace(self.origin, call=call)
        requests = []
        for text in continuations:
            ids, start, _ = self.prompter.continuation(context, text)
            shown = self.prompter.delimited(text)
            requests.append(ScoreRequest(origin=origin, context=context, continuation=shown, ids=ids, start=start))
        results = await asyncio.gather(*(self.asker.ask(request) for request in requests))
        return tuple(result for result in results if isinstance(result, Likelihood))

    def _prompt(self, messages: Sequence[Message], *, reserve: int) -> Prompt:
        longest = self.prompter.max_length
        if longest is not None and reserve >= longest:
            raise UsageError(
                f"the judge model's context of {longest} tokens has no room for {reserve} tokens of answer; lower the "
                "judge's max_tokens."
            )
        return self.prompter.prompt(messages, reserve=reserve)

    def _seed_of(self, origin: Origin) -> int:
        key = f"judge\n{self.seed}\n{origin.task}\n{origin.sample_id}\n{origin.repeat}\n{origin.call}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")


NOBODY = Origin(task="", sample_id="", index=0)


def judge_model(backend: Backend, asker: Asker, *, seed: int = 0) -> JudgeModel:
    """The judge that a backend is, before it is handed any attempt; `asker` is where its requests go."""
    tokenizer = backend.tokenizer
    prompter = Prompter(
        PromptOptions(question="", too_long="error"),
        tokenizer=tokenizer,
        max_length=backend.info.max_length,
        chat=tokenizer is None or tokenizer.chat_template is not None,
    )
    return JudgeModel(info=backend.info, prompter=prompter, asker=asker, origin=NOBODY, seed=seed)
