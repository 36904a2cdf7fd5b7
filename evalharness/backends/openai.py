"""The backend ``openai:BASE_URL#NAME`` or ``openai:NAME``: any server that speaks OpenAI's protocol.

OpenAI itself, vLLM, SGLang, llama.cpp, Ollama, `evalharness serve`. What a server can do is tried once, when the model
is loaded, and recorded: completions, log-likelihoods by echo, token ids in prompts, chat, log-probabilities, tools,
JSON schemas, seeds. A model whose server cannot echo cannot score; its tasks have generative protocols.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.backends.reasoning import FIELD, answer_cut
from evalharness.backends.remote.answers import echoed, first_of, has_echo, of_chat, of_response, of_text
from evalharness.backends.remote.budget import Budget, price_of, usage_of
from evalharness.backends.remote.failures import MalformedAnswerError, RemoteError
from evalharness.backends.remote.options import TIME_LIMIT, RemoteOptions
from evalharness.backends.remote.service import RemoteBackend
from evalharness.backends.remote.tools import SentTools
from evalharness.errors import ServiceError, UsageError, nearest
from evalharness.hashing import canonical_json, sha256_text
from evalharness.options import parse_options
from evalharness.types import (
    Accepts,
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Prompt,
    Request,
    Result,
    Sampling,
    ScoreRequest,
    Tokenizer,
)

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OFFICIAL = "api.openai.com"
MOST_STOPS = 4
"""Stop strings that a request may name; more are applied here, after the answer."""
ECHO_TOKENS = 2
"""Of a server's longest sequence: the one that an echo generates, and the last scored one, which other backends never
feed and a server is sent."""
PROBE_RETRIES = 2
PROBE_TEXT = "One, two, three, four"


def load(
    spec: str,
    *,
    max_length: int | None = None,
    tokenizer: str | None = None,
    time_limit: float | None = None,
    chat: bool = False,
    reasoning: str | None = None,
    max_tokens_total: int | None = None,
    max_cost: float | None = None,
    model_options: dict[str, Any] | None = None,
) -> OpenAIBackend:
    """The model that a server has; the server is asked what it can do.

    Args:
        spec: ``BASE_URL#NAME``, or a name at ``OPENAI_BASE_URL`` or at OpenAI.
        tokenizer: a folder, GGUF file or name; with it prompts carry token ids where the server takes them.
        time_limit: seconds that one attempt may take.
        chat: whether prompts are conversations.
        reasoning: ``field`` where the server keeps thoughts apart: stops are then applied to the answer, here.
        max_tokens_total, max_cost: what may be spent in all.

    Raises:
        UsageError: a malformed spec or option, or the server has no model of this name.
        ServiceError: the client is not installed, no server is there, or it refuses the key.
    """
    settings = parse_options(RemoteOptions, model_options or {}, "--model-option")
    base, hash_sign, name = spec.rpartition("#")
    if not name or (hash_sign and not base.startswith(("http://", "https://"))):
        raise UsageError(
            f"--model openai:{spec}: write openai:NAME, or openai:BASE_URL#NAME as in "
            "openai:http://127.0.0.1:8000/v1#smollm2."
        )
    price = price_of(name, settings.prices)
    return OpenAIBackend(
        name=name,
        base_url=(base or os.environ.get("OPENAI_BASE_URL") or f"https://{OFFICIAL}/v1").rstrip("/"),
        options=settings,
        budget=Budget(price=price, max_tokens=max_tokens_total, max_cost=max_cost),
        max_length=max_length,
        tokenizer=_tokenizer(tokenizer),
        time_limit=time_limit or TIME_LIMIT,
        chat=chat,
        apart=reasoning == FIELD,
    )


def _tokenizer(name: str | None) -> Tokenizer | None:
    if name is None:
        return None
    if (path := Path(name).expanduser()).exists():
        from evalharness.backends.stack import tokenizer_at

        return tokenizer_at(path)
    from evalharness.backends.huggingface_tokenizer import load_tokenizer, wrap

    return wrap(load_tokenizer(name, revision=None, trust_remote_code=False, place=f"--tokenizer {name}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server was found to do."""

    completions: bool = False
    echo: bool = False
    """Log-probabilities of a prompt's own tokens."""
    ids: bool = False
    """Token ids in prompts."""
    chat: bool = False
    logprobs: bool = False
    tools: bool = False
    json_schema: bool = False
    seed: bool = False
    served: str = ""
    """The model that the server says it answered with."""
    system_fingerprint: str | None = None


class OpenAIBackend(RemoteBackend):
    """An `evalharness.types.Backend` over the official client; made by `load`."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        options: RemoteOptions,
        budget: Budget,
        max_length: int | None,
        tokenizer: Tokenizer | None,
        time_limit: float,
        chat: bool,
        apart: bool,
    ) -> None:
        super().__init__(
            server=f"the server at {base_url}",
            budget=budget,
            concurrency=options.concurrency,
            retries=options.retries,
            time_limit=time_limit,
            tokenizer=tokenizer,
        )
        self.name = name
        self.base_url = base_url
        self._options = options
        self._max_length = max_length
        self._chat = chat
        self._apart = apart
        self._client: AsyncOpenAI | None = None

    # ------------------------------------------------------------------------ what it is

    @cached_property
    def can(self) -> Capabilities:
        """What the server can do; asked once."""
        return self.wait_for(self._probe)

    @cached_property
    def info(self) -> BackendInfo:
        api, can = self._api, self.can
        accepts: Accepts = "messages" if api != "completions" else "ids" if self._sends_ids else "text"
        identity = [self.base_url, self.name, can.served, can.system_fingerprint]
        return BackendInfo(
            name=self.name,
            kind="openai",
            accepts=frozenset({accepts}),
            fingerprint=sha256_text(canonical_json(identity)),
            max_length=self._max_length,
            immediate=True,
            verbs=frozenset({"score", "generate"} if can.echo and api == "completions" else {"generate"}),
            details={
                "url": self.base_url,
                "served": can.served,
                "system_fingerprint": can.system_fingerprint,
                "api": api,
                "can": sorted(name for name in Capabilities.__slots__ if getattr(can, name) is True),
                **({"reasoning_effort": self._options.reasoning_effort} if self._options.reasoning_effort else {}),
                **({"extra_body": self._options.extra_body} if self._options.extra_body else {}),
                **({"reasoning": FIELD} if self._apart else {}),
            },
        )

    @cached_property
    def _api(self) -> str:
        chosen, can = self._options.api, self.can
        if chosen != "auto":
            return chosen
        wants_chat = self._chat and self.tokenizer is None
        if can.completions and not wants_chat:
            return "completions"
        if can.chat:
            return "chat"
        raise ServiceError(f"{self.server} does not answer as asked (chat {wants_chat}); say --model-option api=...")

    @property
    def _sends_ids(self) -> bool:
        return self.tokenizer is not None and self.can.ids

    # ------------------------------------------------------------------------ one request

    async def ask(self, request: Request) -> Result:
        if isinstance(request, ScoreRequest):
            return await self._score(request)
        if self._api == "responses":
            return await self._respond(request)
        tools = self._tools_of(request.prompt)
        began = time.perf_counter()
        if self._api == "chat":
            answer = await self._sdk.chat.completions.create(**self._chat_fields(request, tools))
        else:
            answer = await self._sdk.completions.create(**self._text_fields(request))
        usage = self._checked(answer)
        choices = sorted(answer.choices, key=lambda choice: choice.index or 0)
        if len(choices) != request.n:
            raise MalformedAnswerError(f"{request.n} choices were asked for and {len(choices)} came")
        of = of_chat if self._api == "chat" else of_text
        seconds = time.perf_counter() - began
        said = [replace(tools.restored(of(choice)), seconds=seconds) for choice in choices]
        said[0] = replace(said[0], usage=usage)
        return Completions(tuple(answer_cut(one, request.sampling.stop) for one in said))

    def _tools_of(self, prompt: Prompt) -> SentTools:
        """
        Raises:
            UsageError: the prompt has tools, and this way of asking cannot tell the server of them.
        """
        if prompt.tools and self._api == "completions" and self.tokenizer is None:
            raise UsageError("native function calls need a conversation; add --chat.")
        if prompt.tools and self._api == "chat" and not self.can.tools:
            raise UsageError(
                f"{self.server} refuses requests with tools, so the model cannot call functions natively; ask for "
                "calls in words, or start the server with a parser of tool calls."
            )
        return SentTools(prompt.tools)

    def _text_fields(self, request: GenerateRequest) -> dict[str, Any]:
        sampling = request.sampling
        fields = {"prompt": self._sent(request.prompt), "max_tokens": sampling.max_tokens, **self._drawn(request)}
        if sampling.log_probabilities is not None:
            fields["logprobs"] = sampling.log_probabilities
        return fields

    def _chat_fields(self, request: GenerateRequest, tools: SentTools) -> dict[str, Any]:
        sampling = request.sampling
        limit = "max_completion_tokens" if OFFICIAL in self.base_url else "max_tokens"
        fields = {"messages": _messages(request.prompt), limit: sampling.max_tokens, **self._drawn(request)}
        if tools.chat:
            fields["tools"] = tools.chat
        if sampling.log_probabilities is not None:
            fields |= {"logprobs": True, "top_logprobs": sampling.log_probabilities}
        if self._options.reasoning_effort:
            fields["reasoning_effort"] = self._options.reasoning_effort
        return fields

    def _drawn(self, request: GenerateRequest) -> dict[str, Any]:
        """How the completions are drawn, in the protocol's words; what is at its default is not sent."""
        sampling, body = request.sampling, dict(self._options.extra_body)
        _refuse_unsupported(sampling, self.base_url)
        fields: dict[str, Any] = {"model": self.name, "temperature": sampling.temperature}
        if request.n > 1:
            fields["n"] = request.n
        if sampling.temperature > 0:
            fields["seed"] = sampling.seed % 2**31
        if sampling.stop and not self._apart and len(sampling.stop) <= MOST_STOPS:
            fields["stop"] = list(sampling.stop)
        for key in ("top_p", "presence_penalty", "frequency_penalty"):
            if (value := getattr(sampling, key)) != getattr(_PLAIN, key):
                fields[key] = value
        for key in _BEYOND:  # not OpenAI's, and known to vLLM, SGLang, llama.cpp and our own server
            if (value := getattr(sampling, key)) != getattr(_PLAIN, key):
                body[key] = value
        if sampling.logit_bias:
            fields["logit_bias"] = {str(id): value for id, value in sampling.logit_bias}
        if sampling.json_schema is not None:
            schema = {"name": "answer", "schema": json.loads(sampling.json_schema), "strict": True}
            wanted = {"type": "json_schema", "json_schema": schema}
            if self._api == "chat":
                fields["response_format"] = wanted
            else:
                body["response_format"] = wanted
        return {**fields, "extra_body": body} if body else fields

    async def _respond(self, request: GenerateRequest) -> Completions:
        """By OpenAI's responses, which know no stop, seed or n: stops are applied here, and n requests are sent."""
        sampling = request.sampling
        _refuse_unsupported(sampling, self.base_url)
        fields: dict[str, Any] = {
            "model": self.name,
            "input": _messages(request.prompt),
            "max_output_tokens": sampling.max_tokens,
            "store": False,
        }
        tools = self._tools_of(request.prompt)
        if tools.responses:
            fields["tools"] = tools.responses
        if self._options.reasoning_effort:
            fields["reasoning"] = {"effort": self._options.reasoning_effort}
        else:
            fields |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if self._options.extra_body:
            fields["extra_body"] = self._options.extra_body

        async def one() -> Completion:
            began = time.perf_counter()
            answer = await self._sdk.responses.create(**fields)
            usage = self._checked(answer)
            said = tools.restored(of_response(answer))
            said = replace(said, usage=usage, seconds=time.perf_counter() - began)
            return answer_cut(said, sampling.stop)

        return Completions(tuple(await asyncio.gather(*(one() for _ in range(request.n)))))

    async def _score(self, request: ScoreRequest) -> Likelihood:
        ids = request.ids
        if ids is not None and request.start >= len(ids):
            return Likelihood((), ())
        sent: Any = list(ids) if ids is not None and self._sends_ids else request.context.text + request.continuation
        fields: dict[str, Any] = {"model": self.name, "prompt": sent, "max_tokens": 1, "temperature": 0.0}
        if self._options.extra_body:
            fields["extra_body"] = self._options.extra_body
        answer = await self._sdk.completions.create(**fields, echo=True, logprobs=1)
        self._checked(answer)
        told = echoed(answer.choices[0])
        first = request.start if isinstance(sent, list) else first_of(told.tokens, request.continuation)
        if isinstance(sent, list) and len(told.values) < len(sent):
            raise MalformedAnswerError(f"{len(told.values)} log-probabilities came for {len(sent)} tokens")
        values = told.values[first:]
        if not values or any(value is None for value in values):
            raise MalformedAnswerError("a log-probability of the scored text is missing")
        return Likelihood(tuple(value for value in values if value is not None), told.greedy(first))

    # ------------------------------------------------------------------------ the server

    def _checked(self, answer: Any) -> dict[str, int]:
        """Count what an answer used.

        Raises:
            MalformedAnswerError: it is no answer.
            RemoteError: another model answered than at first.
        """
        if not hasattr(answer, "choices") and not hasattr(answer, "output"):
            raise MalformedAnswerError(f"'{str(answer)[:80]}'")
        if getattr(answer, "choices", ()) is None:
            raise MalformedAnswerError("no choices came")
        usage = usage_of(getattr(answer, "usage", None))
        self.budget.used(usage)
        if answer.model and self.can.served and answer.model != self.can.served:
            raise RemoteError(
                f"{self.server} answers with the model '{answer.model}' where it began with '{self.can.served}': "
                "these are not the answers of one model."
            )
        return usage

    def _sent(self, prompt: Prompt) -> str | list[int]:
        return list(prompt.ids) if prompt.ids is not None and self._sends_ids else prompt.text

    @property
    def _sdk(self) -> AsyncOpenAI:
        if self._client is None:
            try:
                from openai import AsyncOpenAI
            except ModuleNotFoundError:
                raise ServiceError(
                    "--model openai: the official client is not installed: pip install 'evalharness[openai]'"
                ) from None
            key = os.environ.get(self._options.key_env)
            if not key and OFFICIAL in self.base_url:
                raise ServiceError(f"no key: set {self._options.key_env} in the environment.")
            # What bounds an attempt is `RemoteBackend.insist`; proxies of the environment are the client's business.
            self._client = AsyncOpenAI(api_key=key or "none", base_url=self.base_url, max_retries=0, timeout=None)
        return self._client

    async def disconnect(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    # ------------------------------------------------------------------------ what it can do

    async def _probe(self) -> Capabilities:
        """Try everything once.

        Raises:
            ServiceError: nothing answers, or the key is refused.
            UsageError: the server has other models.
        """
        await self._look_for_model()
        text: dict[str, Any] = {"model": self.name, "prompt": PROBE_TEXT, "max_tokens": 1, "temperature": 0.0}
        chat: dict[str, Any] = {"model": self.name, "messages": [{"role": "user", "content": PROBE_TEXT}]}
        chat["max_completion_tokens" if OFFICIAL in self.base_url else "max_tokens"] = 16
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        schema["additionalProperties"] = False
        answer_form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
        wanted = self._options.api
        texts, chats = wanted in ("auto", "completions"), wanted in ("auto", "chat")
        plain, echoed, ids, talked, told, tools, formed, seeded = await asyncio.gather(
            self._tried(texts, "completions", **text),
            self._tried(texts, "completions", **text, echo=True, logprobs=1),
            self._tried(texts and self.tokenizer is not None, "completions", **{**text, "prompt": self._probe_ids()}),
            self._tried(chats, "chat", **chat),
            self._tried(chats, "chat", **chat, logprobs=True, top_logprobs=1),
            self._tried(chats, "chat", **chat, tools=[tool]),
            self._tried(chats, "chat", **chat, response_format=answer_form),
            self._tried(chats, "chat", **chat, seed=1),
        )
        answer = plain or talked
        if answer is None and wanted != "responses":
            raise ServiceError(f"{self.server} answers neither completions nor chat of the model '{self.name}'.")
        return Capabilities(
            completions=plain is not None,
            echo=echoed is not None and has_echo(echoed),
            ids=ids is not None,
            chat=talked is not None,
            logprobs=told is not None and bool(getattr(told.choices[0], "logprobs", None)),
            tools=tools is not None,
            json_schema=formed is not None,
            seed=seeded is not None,
            served=str(getattr(answer, "model", None) or ""),
            system_fingerprint=getattr(answer, "system_fingerprint", None),
        )

    async def _look_for_model(self) -> None:
        import openai

        async def listed() -> dict[str, Any]:
            try:
                return {model.id: model async for model in self._sdk.models.list()}
            except (openai.NotFoundError, openai.BadRequestError, openai.PermissionDeniedError):
                return {}  # no list of models is no lack of a model

        models = await self.insist(listed, retries=PROBE_RETRIES)
        if models and self.name not in models:
            raise UsageError(f"{self.server} has no model '{self.name}'; {nearest(self.name, models)}")
        longest = getattr(models.get(self.name), "max_model_len", None)  # vLLM, SGLang and our own server say it
        if isinstance(longest, int):
            self._max_length = min(longest - ECHO_TOKENS, self._max_length or longest)

    async def _tried(self, wanted: bool, api: str, **fields: Any) -> Any:
        """An answer, or None where the server refuses the request."""
        if not wanted:
            return None

        async def sent() -> Any:
            import openai

            create = self._sdk.chat.completions.create if api == "chat" else self._sdk.completions.create
            try:
                answer = await create(**fields)
            except (openai.BadRequestError, openai.NotFoundError, openai.UnprocessableEntityError):
                return None
            if getattr(answer, "choices", None):
                self.budget.used(usage_of(getattr(answer, "usage", None)))
                return answer
            return None

        try:
            return await self.insist(sent, retries=PROBE_RETRIES)
        except RemoteError as error:
            if error.status is None or error.status < 500:
                raise
            return None  # a server that stumbles over a request cannot answer it

    def _probe_ids(self) -> list[int]:
        return self.tokenizer.encode(PROBE_TEXT) if self.tokenizer is not None else []


_PLAIN = Sampling(max_tokens=1)
_BEYOND = ("top_k", "min_p", "repetition_penalty")


def _refuse_unsupported(sampling: Sampling, base_url: str) -> None:
    if sampling.regex is not None:
        raise UsageError("decode.regex: OpenAI's protocol has no regular expressions; use decode.json_schema.")
    if OFFICIAL in base_url:
        for key in _BEYOND:
            if getattr(sampling, key) != getattr(_PLAIN, key):
                raise UsageError(f"decode.{key}: {OFFICIAL} does not know it; leave it out.")


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt.messages]
