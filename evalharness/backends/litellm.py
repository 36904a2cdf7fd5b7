"""The backend ``litellm:PROVIDER/NAME``: providers that speak protocols of their own, through the package litellm.

Chat only: nothing can be scored. Retries, concurrency, budgets and the record are those of the backend ``openai``.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import cached_property
from typing import Any

from evalharness.backends.openai import MOST_STOPS
from evalharness.backends.reasoning import FIELD, answer_cut
from evalharness.backends.remote.answers import of_chat
from evalharness.backends.remote.budget import Budget, Price, price_of, usage_of
from evalharness.backends.remote.failures import MalformedAnswerError
from evalharness.backends.remote.options import TIME_LIMIT, RemoteOptions
from evalharness.backends.remote.service import RemoteBackend
from evalharness.backends.remote.tools import SentTools
from evalharness.errors import ServiceError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.options import parse_options
from evalharness.types import BackendInfo, Completions, GenerateRequest, Request, Result, Sampling


def load(
    spec: str,
    *,
    max_length: int | None = None,
    time_limit: float | None = None,
    reasoning: str | None = None,
    max_tokens_total: int | None = None,
    max_cost: float | None = None,
    model_options: dict[str, Any] | None = None,
) -> LiteLLMBackend:
    """The model that litellm calls `spec`; keys are read from the environment, under the names that litellm documents.

    Raises:
        UsageError: a malformed option, or --max-cost for a model whose price nobody knows.
        ServiceError: litellm is not installed.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # importing it would fetch prices
    try:
        import litellm
    except ModuleNotFoundError:
        raise ServiceError(
            "--model litellm: the package litellm is not installed: pip install 'evalharness[litellm]'"
        ) from None
    litellm.suppress_debug_info = True
    settings = parse_options(RemoteOptions, model_options or {}, "--model-option")
    price = price_of(spec, settings.prices) or _price(litellm, spec)
    return LiteLLMBackend(
        name=spec,
        options=settings,
        budget=Budget(price=price, max_tokens=max_tokens_total, max_cost=max_cost),
        max_length=max_length,
        time_limit=time_limit or TIME_LIMIT,
        apart=reasoning == FIELD,
    )


def _price(litellm: Any, name: str) -> Price | None:
    """What the installed litellm says a token costs."""
    entry = litellm.model_cost.get(name) or {}
    read, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if read is None or written is None:
        return None
    return Price(input=1e6 * read, output=1e6 * written, date="of the installed litellm")


class LiteLLMBackend(RemoteBackend):
    """An `evalharness.types.Backend` over litellm; made by `load`."""

    def __init__(
        self,
        *,
        name: str,
        options: RemoteOptions,
        budget: Budget,
        max_length: int | None,
        time_limit: float,
        apart: bool,
    ) -> None:
        super().__init__(
            server=f"'{name}' (litellm)",
            budget=budget,
            concurrency=options.concurrency,
            retries=options.retries,
            time_limit=time_limit,
            tokenizer=None,
        )
        self.name = name
        self._options = options
        self._max_length = max_length
        self._apart = apart

    @cached_property
    def info(self) -> BackendInfo:
        details: dict[str, Any] = {}
        if self._options.extra_body:
            details["extra_body"] = self._options.extra_body
        if self._options.reasoning_effort:
            details["reasoning_effort"] = self._options.reasoning_effort
        return BackendInfo(
            name=self.name,
            kind="litellm",
            accepts=frozenset({"messages"}),
            fingerprint=sha256_text(canonical_json(["litellm", self.name])),
            max_length=self._max_length,
            immediate=True,
            verbs=frozenset({"generate"}),
            details=details,
        )

    async def ask(self, request: Request) -> Result:
        import litellm

        if not isinstance(request, GenerateRequest):
            raise UsageError("litellm's models cannot score; run the task's generative protocol.")
        tools = SentTools(request.prompt.tools)
        began = time.perf_counter()
        answer = await litellm.acompletion(**self._fields(request, tools))
        if len(answer.choices or ()) != request.n:
            raise MalformedAnswerError(f"{request.n} choices were asked for and {len(answer.choices or ())} came")
        usage = usage_of(answer.usage)
        self.budget.used(usage)
        seconds = time.perf_counter() - began
        said = [replace(tools.restored(of_chat(choice)), seconds=seconds) for choice in answer.choices]
        said[0] = replace(said[0], usage=usage)
        return Completions(tuple(answer_cut(one, request.sampling.stop) for one in said))

    def _fields(self, request: GenerateRequest, tools: SentTools) -> dict[str, Any]:
        sampling = request.sampling
        for key in ("top_k", "min_p", "repetition_penalty", "logit_bias", "json_schema", "regex", "log_probabilities"):
            if getattr(sampling, key) != getattr(_PLAIN, key):
                raise UsageError(f"decode.{key}: not offered through litellm; leave it out.")
        fields: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.prompt.messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "num_retries": 0,
            **self._options.extra_body,
        }
        if tools.chat:
            fields["tools"] = tools.chat
        if request.n > 1:
            fields["n"] = request.n
        if sampling.stop and not self._apart and len(sampling.stop) <= MOST_STOPS:
            fields["stop"] = list(sampling.stop)
        for key in ("top_p", "presence_penalty", "frequency_penalty"):
            if (value := getattr(sampling, key)) != getattr(_PLAIN, key):
                fields[key] = value
        if self._options.reasoning_effort:
            fields["reasoning_effort"] = self._options.reasoning_effort
        return fields

    async def disconnect(self) -> None:
        """Nothing: litellm's clients are its own."""


_PLAIN = Sampling(max_tokens=1)
