"""The JSON of answers: whole, or event by event, as OpenAI's two endpoints write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evalharness.serving.logprobs import ScoredToken, of_chat, of_completions
from evalharness.serving.traffic import Visit
from evalharness.types import FinishReason

FINISH: Mapping[FinishReason, str] = {"eos": "stop", "stop": "stop", "unknown": "stop", "length": "length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A choice of an answer, or a stretch of one."""

    index: int
    text: str
    ids: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] | None = None
    first: bool = False
    """The choice begins with this part."""
    tokens: tuple[ScoredToken, ...] | None = None
    """Set where log-probabilities were asked for."""
    reasoning: str | None = None
    finish_reason: str | None = None
    """With the last part of a choice."""
    stop: str | None = None
    """The stop string that ended it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a whole request."""

    prompt: int
    completion: int

    @property
    def json(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


class Form(Protocol):
    """How one endpoint writes its answers."""

    def whole(self, parts: Sequence[Part], usage: Usage) -> dict[str, Any]: ...

    def event(self, part: Part) -> dict[str, Any]:
        """One stretch of a streamed choice."""
        ...

    def last(self, usage: Usage) -> dict[str, Any]:
        """The event of a stream that tells its tokens and has no choice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    visit: Visit
    model: str
    fingerprint: str
    likeliest: int
    """Likeliest tokens that are shown at each place."""
    with_ids: bool
    with_usage: bool
    """The last event tells the usage, and the others that it is still to come."""

    def _frame(self, prefix: str, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"{prefix}-{self.visit.id}",
            "object": kind,
            "created": self.visit.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint[:16],
            "choices": choices,
        }

    def _pending_usage(self) -> dict[str, None]:
        return {"usage": None} if self.with_usage else {}


class CompletionForm(_Form):
    """``/v1/completions``."""

    def whole(self, parts: Sequence[Part], usage: Usage) -> dict[str, Any]:
        return {**self._framed([self._choice(part) for part in parts]), "usage": usage.json}

    def event(self, part: Part) -> dict[str, Any]:
        return {**self._framed([self._choice(part)]), **self._pending_usage()}

    def last(self, usage: Usage) -> dict[str, Any]:
        return {**self._framed([]), "usage": usage.json}

    def _framed(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._frame("cmpl", "text_completion", choices)

    def _choice(self, part: Part) -> dict[str, Any]:
        choice = {
            "index": part.index,
            "text": part.text,
            "logprobs": None if part.tokens is None else of_completions(part.tokens, self.likeliest),
            "finish_reason": part.finish_reason,
            "stop_reason": part.stop,
        }
        if self.with_ids:
            prompt = {"prompt_token_ids": part.prompt_ids} if part.first else {}
            choice |= {**prompt, "token_ids": part.ids}
        return choice


class ChatForm(_Form):
    """``/v1/chat/completions``."""

    def whole(self, parts: Sequence[Part], usage: Usage) -> dict[str, Any]:
        frame = self._frame("chatcmpl", "chat.completion", [self._choice(part, "message") for part in parts])
        return {**frame, **self._prompt_ids(parts[0]), "usage": usage.json}

    def event(self, part: Part) -> dict[str, Any]:
        frame = self._frame("chatcmpl", "chat.completion.chunk", [self._choice(part, "delta")])
        return {**frame, **self._prompt_ids(part), **self._pending_usage()}

    def last(self, usage: Usage) -> dict[str, Any]:
        return {**self._frame("chatcmpl", "chat.completion.chunk", []), "usage": usage.json}

    def _choice(self, part: Part, key: str) -> dict[str, Any]:
        said: dict[str, Any] = {"content": part.text}
        if part.first:
            said = {"role": "assistant", **said}
        if part.reasoning is not None:
            said["reasoning_content"] = part.reasoning
        choice = {
            "index": part.index,
            key: said,
            "logprobs": None if part.tokens is None else of_chat(part.tokens, self.likeliest),
            "finish_reason": part.finish_reason,
            "stop_reason": part.stop,
        }
        if self.with_ids:
            choice["token_ids"] = part.ids
        return choice

    def _prompt_ids(self, part: Part) -> dict[str, Any]:
        return {"prompt_token_ids": part.prompt_ids} if self.with_ids and part.first else {}
