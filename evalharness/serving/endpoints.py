"""What each address of the server does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from evalharness.serving.answers import Plan, Stream
from evalharness.serving.forms import ChatForm, CompletionForm, Form, Usage
from evalharness.serving.metrics import Metrics
from evalharness.serving.reply import Reply
from evalharness.serving.requests import (
    Body,
    ChatBody,
    CompletionBody,
    DetokenizeBody,
    Generation,
    TokenizeBody,
)
from evalharness.serving.service import Asked, Drawn, Service, together
from evalharness.serving.traffic import Visit
from evalharness.types import Origin


class Endpoints:
    """The addresses of one model. Each takes the checked body of a request and writes the whole reply."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._created = Visit().created

    # ------------------------------------------------------------------- that ask the model

    async def completions(self, body: CompletionBody, visit: Visit, reply: Reply) -> None:
        service = self._service
        service.check_name(body.model)
        asked = []
        for place, given in enumerate(body.prompt):
            prompt = service.text_prompt(given)
            origin = Origin(task="completions", sample_id=visit.id, index=place)
            max_tokens = service.fits(prompt, body.max_tokens)
            generate = score = None
            if max_tokens:
                generate = service.generation(
                    body, prompt, origin, max_tokens=max_tokens, log_probabilities=body.logprobs
                )
            if body.echo and body.logprobs is not None:
                score = service.scoring(prompt, replace(origin, call=1))
            asked.append(Asked(prompt=prompt, generate=generate, score=score))
        plan = Plan(
            asked=tuple(asked),
            n=body.n,
            stop=body.stop,
            log_probabilities=body.logprobs,
            echo=body.echo,
            speller=service.speller,
        )
        await self._reply(plan, CompletionForm(**self._form(body, visit, body.logprobs)), body, visit, reply)

    async def chat(self, body: ChatBody, visit: Visit, reply: Reply) -> None:
        service = self._service
        service.check_name(body.model)
        prompt = service.chat_prompt([turn.message for turn in body.messages], body.functions)
        generate = service.generation(
            body,
            prompt,
            Origin(task="chat", sample_id=visit.id, index=0),
            max_tokens=service.fits(prompt, body.max_completion_tokens or body.max_tokens),
            log_probabilities=body.log_probabilities,
            continues=True,
        )
        plan = Plan(
            asked=(Asked(prompt=prompt, generate=generate),),
            n=body.n,
            stop=body.stop,
            log_probabilities=body.log_probabilities,
            echo=False,
            speller=service.speller,
        )
        await self._reply(plan, ChatForm(**self._form(body, visit, body.log_probabilities)), body, visit, reply)

    def _form(self, body: Generation, visit: Visit, likeliest: int | None) -> dict[str, Any]:
        return {
            "visit": visit,
            "model": self._service.name,
            "fingerprint": self._service.info.fingerprint,
            "likeliest": likeliest or 0,
            "with_ids": body.return_token_ids,
            "with_usage": body.stream and body.stream_options.include_usage,
        }

    async def _reply(self, plan: Plan, form: Form, body: Generation, visit: Visit, reply: Reply) -> None:
        if body.stream:
            usage = await self._stream(plan, form, visit, reply)
            if body.stream_options.include_usage:
                await reply.event(form.last(usage))
            await reply.end_of_events()
        else:
            answers = dict(enumerate(await together(self._service.answer(asked) for asked in plan.asked)))
            usage = plan.usage(answers)
            parts = [part for place, answered in answers.items() for part in plan.parts(place, answered)]
            await reply.json(form.whole(parts, usage))
        self._metrics.prompt_tokens.inc(usage.prompt)
        self._metrics.generated_tokens.inc(usage.completion)

    async def _stream(self, plan: Plan, form: Form, visit: Visit, reply: Reply) -> Usage:
        stream = Stream(plan)
        waiting = True
        async with aclosing(self._service.feed(plan.asked)) as feed:
            async for events in feed:
                if waiting and any(isinstance(event, Drawn) for event in events):
                    waiting = False
                    self._metrics.first_token.observe(visit.seconds)
                for part in stream.parts(events):
                    await reply.event(form.event(part))
        return plan.usage(stream.answers)

    # ------------------------------------------------------------------- about its tokens

    async def tokenize(self, body: TokenizeBody, visit: Visit, reply: Reply) -> None:
        service = self._service
        service.check_name(body.model)
        tokenizer = service.needs_tokenizer("tokens")
        if body.messages is not None:
            prompt = service.chat_prompt([turn.message for turn in body.messages])
        else:
            prompt = service.plain_prompt(body.prompt or "")
        ids = prompt.ids if body.add_special_tokens and prompt.ids is not None else tokenizer.encode(prompt.text)
        await reply.json({"tokens": ids, "count": len(ids), "max_model_len": service.info.max_length})

    async def detokenize(self, body: DetokenizeBody, visit: Visit, reply: Reply) -> None:
        self._service.check_name(body.model)
        await reply.json({"prompt": self._service.needs_tokenizer("texts of tokens").decode(body.tokens)})

    async def tokenizer_info(self, body: Body, visit: Visit, reply: Reply) -> None:
        tokenizer = self._service.needs_tokenizer("facts on tokens")
        facts: Mapping[str, Any] = {
            "eos_token": None,
            "bos_token": None,
            "pad_token": None,
            **tokenizer.special_tokens,
            "add_bos_token": tokenizer.add_bos,
            "chat_template": tokenizer.chat_template,
            "model_max_length": self._service.info.max_length,
        }
        await reply.json(facts)

    # ------------------------------------------------------------------- about the server

    async def models(self, body: Body, visit: Visit, reply: Reply) -> None:
        await reply.json({"object": "list", "data": [self._card()]})

    async def model(self, body: Body, visit: Visit, reply: Reply) -> None:
        self._service.check_name(body.model)
        await reply.json(self._card())

    async def health(self, body: Body, visit: Visit, reply: Reply) -> None:
        await reply.json({"status": "ok"})

    async def metrics(self, body: Body, visit: Visit, reply: Reply) -> None:
        content, kind = self._metrics.text()
        await reply.content(content, kind)

    def _card(self) -> dict[str, Any]:
        return {
            "id": self._service.name,
            "object": "model",
            "created": self._created,
            "owned_by": "evalharness",
            "max_model_len": self._service.info.max_length,
        }
