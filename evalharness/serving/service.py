"""A model behind the server: prompts from what clients send, and answers, whole or as their tokens come."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from evalharness.backends.batching import Waves
from evalharness.errors import DataError, UsageError, nearest
from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.serving.errors import Refusal
from evalharness.serving.logprobs import Speller
from evalharness.serving.requests import Generation
from evalharness.types import (
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Message,
    Origin,
    Prompt,
    Request,
    Sampling,
    ScoreRequest,
    Tokenizer,
    ToolSchema,
)

GREEDY_BELOW = 1e-4
"""Temperatures below count as 0: divided by less, logits overflow."""
CHAT_TOKENS = 1024
"""Most tokens of a chat's answer where neither the request nor the model says a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One prompt of a request, and what is asked of the model about it."""

    prompt: Prompt
    generate: GenerateRequest | None
    score: ScoreRequest | None = None
    """Every token of the prompt but the first."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model says to an `Asked`."""

    completions: tuple[Completion, ...]
    likelihood: Likelihood | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """New tokens of one completion: of the prompt at `place`, and of its texts the one at `number`."""

    place: int
    number: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer to the prompt at `place`."""

    place: int
    answered: Answered


class Service:
    """One model under the name that clients know it by."""

    def __init__(self, waves: Waves, name: str) -> None:
        self.name = name
        self.info = waves.backend.info
        self.tokenizer = waves.backend.tokenizer
        self.speller = None if self.tokenizer is None else Speller(self.tokenizer)
        self._waves = waves
        self._plain = Prompter(PromptOptions(question=""), tokenizer=self.tokenizer, max_length=None)
        self._chat = Prompter(PromptOptions(question=""), tokenizer=self.tokenizer, max_length=None, chat=True)

    def check_name(self, name: str | None) -> None:
        """
        Raises:
            Refusal: another model is asked for.
        """
        if name is not None and name != self.name:
            raise Refusal(
                404, f"the model '{name}' is not served here; {nearest(name, [self.name])}", code="model_not_found"
            )

    def needs_tokenizer(self, what: str) -> Tokenizer:
        """
        Raises:
            Refusal: the model's tokenizer is not known, so `what` cannot be had.
        """
        if self.tokenizer is None:
            raise Refusal(400, f"{what} need the model's tokenizer, which its backend does not tell.", code="unknown")
        return self.tokenizer

    # ------------------------------------------------------------------- prompts

    def text_prompt(self, given: str | Sequence[int]) -> Prompt:
        """The prompt of a completion: a text with the BOS that the tokenizer declares, or ids as they are.

        Raises:
            Refusal: the model takes no such prompt.
            DataError: it is empty.
        """
        if not self.info.accepts & {"ids", "text"}:
            raise Refusal(400, "this model takes conversations only; ask /v1/chat/completions.", code="no_text")
        if isinstance(given, str):
            prompt = self.plain_prompt(given)
        else:
            tokenizer = self.needs_tokenizer("prompts of token ids")
            prompt = Prompt(messages=(), text=tokenizer.decode(given), ids=tuple(given))
        if prompt.ids is not None and not prompt.ids:
            raise DataError("the prompt is empty: a model needs at least one token to continue.")
        return prompt

    def plain_prompt(self, text: str) -> Prompt:
        """A text as it is, with the BOS that the tokenizer declares."""
        return self._plain.prompt([Message("user", text)], reserve=0)

    def chat_prompt(self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> Prompt:
        """The prompt of a conversation, by the model's chat template where it has one.

        Raises:
            Refusal: the model takes no conversation, or no tools.
            UsageError: its template shows no tools.
            DataError: its template refuses this conversation.
        """
        if self.tokenizer is not None and self.tokenizer.chat_template is not None:
            return self._chat.with_tools(self._chat.prompt(messages, reserve=0), tools, reserve=0)
        if tools:
            raise Refusal(400, "tools are shown by a chat template, and none is known of this model.", code="no_tools")
        if "messages" not in self.info.accepts:
            raise Refusal(
                400, "this model has no chat template; ask /v1/completions with a text of your own.", code="no_chat"
            )
        return self._plain.prompt(messages, reserve=0)

    def fits(self, prompt: Prompt, max_tokens: int | None) -> int:
        """`max_tokens`, once it is known that there is room for them; where None, all that there is room for.

        Raises:
            Refusal: there is not.
        """
        longest = self.info.max_length
        if longest is None or prompt.ids is None:
            return CHAT_TOKENS if max_tokens is None else max_tokens
        count = len(prompt.ids)
        room = longest - count
        wanted = max(room, 1) if max_tokens is None else max_tokens
        # A prompt that is scored only may be longer by its last token, which is never fed.
        if wanted <= room or (wanted == 0 and room == -1):
            return wanted
        if room < 1:
            problem = (
                f"the prompt has {count} tokens, and the model's context holds {longest} with the answer; shorten it."
            )
        else:
            problem = (
                f"max_tokens is {wanted}, and after the prompt's {count} tokens the model's context of {longest} has "
                f"room for {room}; ask for fewer."
            )
        raise Refusal(400, problem, code="context_length_exceeded")

    # ------------------------------------------------------------------- requests

    def generation(
        self,
        body: Generation,
        prompt: Prompt,
        origin: Origin,
        *,
        max_tokens: int,
        log_probabilities: int | None,
        continues: bool = False,
    ) -> GenerateRequest:
        """What a body asks about one of its prompts.

        Args:
            continues: a later request may begin with this prompt, or with its answer too: they are kept for it.

        Raises:
            Refusal: the model cannot.
        """
        if "generate" not in self.info.verbs:
            raise Refusal(400, "this model scores texts and generates none.", code="no_generation")
        if log_probabilities is not None:
            self.needs_tokenizer("log-probabilities")
        sampling = Sampling(
            max_tokens=max_tokens,
            temperature=0.0 if body.temperature < GREEDY_BELOW else body.temperature,
            top_p=body.top_p,
            top_k=max(body.top_k, 0),
            min_p=body.min_p,
            repetition_penalty=body.repetition_penalty,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            logit_bias=tuple(body.logit_bias.items()),
            stop=body.stop,
            seed=secrets.randbits(48) if body.seed is None else body.seed,
            log_probabilities=log_probabilities,
            json_schema=body.json_schema,
            regex=body.guided_regex,
        )
        return GenerateRequest(origin=origin, prompt=prompt, sampling=sampling, n=body.n, continues=continues)

    def scoring(self, prompt: Prompt, origin: Origin) -> ScoreRequest | None:
        """A request for the log-likelihoods of a prompt's tokens; None where it has none but the first.

        Raises:
            Refusal: the model cannot.
        """
        if "score" not in self.info.verbs:
            raise Refusal(
                400, "this model generates texts and scores none; leave out echo or logprobs.", code="no_score"
            )
        if self.info.encoder_decoder:
            raise Refusal(
                400, "this model is an encoder-decoder, which scores no prompt; leave out echo.", code="no_score"
            )
        self.needs_tokenizer("log-probabilities of a prompt")
        if prompt.ids is None or len(prompt.ids) < 2:
            return None
        nothing = Prompt(messages=(), text="")
        return ScoreRequest(origin=origin, context=nothing, continuation=prompt.text, ids=prompt.ids, start=1)

    # ------------------------------------------------------------------- answers

    async def answer(self, asked: Asked) -> Answered:
        """What the model says.

        Raises:
            Exception: whatever the backend failed it with.
        """
        requests: list[Request] = [request for request in (asked.generate, asked.score) if request is not None]
        results = await together(self._waves.ask(request) for request in requests)
        completions: tuple[Completion, ...] = ()
        likelihood = None
        for result in results:
            if isinstance(result, Completions):
                completions = result.completions
            else:
                likelihood = result
        wanted = asked.generate is not None and asked.generate.sampling.log_probabilities is not None
        if wanted and any(len(one.log_probabilities or ()) != len(one.ids) for one in completions):
            raise UsageError("this model's backend tells no log-probabilities of tokens; leave out logprobs.")
        if asked.score is not None and likelihood is not None:
            scored = len(asked.score.ids or ()) - asked.score.start
            if len(likelihood.log_likelihoods) != scored:
                raise UsageError("this model's backend scores no single tokens; leave out echo or logprobs.")
        return Answered(completions, likelihood)

    async def feed(self, asked: Sequence[Asked]) -> AsyncGenerator[list[Drawn | Finished]]:
        """Tokens as they come, and the answers at last. What came since the last look comes together.

        Raises:
            Exception: whatever the backend failed a request with.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Drawn | Finished | Exception] = asyncio.Queue()

        def put(drawn: Drawn) -> None:
            with suppress(RuntimeError):  # the loop has closed, and the backend has yet to see that nobody waits
                loop.call_soon_threadsafe(queue.put_nowait, drawn)

        async def follow(place: int, one: Asked) -> None:
            if one.generate is not None:
                told = replace(one.generate, on_tokens=lambda number, ids: put(Drawn(place, number, tuple(ids))))
                one = replace(one, generate=told)
            try:
                queue.put_nowait(Finished(place, await self.answer(one)))
            except Exception as error:
                queue.put_nowait(error)

        following = [asyncio.create_task(follow(place, one)) for place, one in enumerate(asked)]
        missing = len(asked)
        try:
            while missing:
                came = [await queue.get()]
                while not queue.empty():
                    came.append(queue.get_nowait())
                events: list[Drawn | Finished] = []
                for event in came:
                    if isinstance(event, Exception):
                        raise event
                    missing -= isinstance(event, Finished)
                    events.append(event)
                yield events
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """All results, in order; where one fails or this is cancelled, the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
