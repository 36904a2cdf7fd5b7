"""What servers of OpenAI's protocol answer, in the harness's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.backends.remote.failures import MalformedAnswerError
from evalharness.types import Completion, FinishReason

FINISHED: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_output_tokens": "length",
    "tool_calls": "stop",
    "function_call": "stop",
}


def of_text(choice: Any) -> Completion:
    reason, stop = _ended(choice)
    told = getattr(choice, "logprobs", None)
    values = getattr(told, "token_logprobs", None)
    return Completion(
        text=choice.text or "",
        ids=tuple(getattr(choice, "token_ids", None) or ()),
        finish_reason=reason,
        stop=stop,
        log_probabilities=tuple(float(value) for value in values) if values else None,
    )


def of_chat(choice: Any) -> Completion:
    reason, stop = _ended(choice)
    message = choice.message
    told = getattr(getattr(choice, "logprobs", None), "content", None)
    return Completion(
        text=message.content or "",
        finish_reason=reason,
        stop=stop,
        log_probabilities=tuple(float(token.logprob) for token in told) if told else None,
        reasoning=_thought(message),
        tool_calls=tuple(call.model_dump() for call in message.tool_calls or ()),
    )


def of_response(answer: Any) -> Completion:
    thoughts = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary or ()]
    thought = "\n".join(thoughts) if any(item.type == "reasoning" for item in answer.output) else None
    reason = getattr(answer.incomplete_details, "reason", None) if answer.incomplete_details else None
    calls = tuple(item.model_dump() for item in answer.output if item.type == "function_call")
    finish = FINISHED.get(reason, "unknown") if reason else "eos"
    return Completion(text=answer.output_text or "", finish_reason=finish, reasoning=thought, tool_calls=calls)


def _thought(message: Any) -> str | None:
    """What servers call ``reasoning_content`` (DeepSeek, vLLM, SGLang) or ``reasoning`` (OpenRouter, Ollama)."""
    for name in ("reasoning_content", "reasoning"):
        told = getattr(message, name, None)
        if isinstance(told, str) and told:
            return told
    return None


def _ended(choice: Any) -> tuple[FinishReason, str | None]:
    """vLLM and our own server say which stop string fired, in ``stop_reason``; others say that one did."""
    reason = FINISHED.get(choice.finish_reason or "", "unknown")
    if reason == "stop" and "stop_reason" in (choice.model_extra or {}):
        fired = choice.stop_reason
        return ("stop", fired) if isinstance(fired, str) else ("eos", None)
    return reason, None


@dataclass(frozen=True, slots=True)
class Echo:
    """The prompt's tokens as a server echoes them, the one that it generated left out."""

    tokens: Sequence[str]
    values: Sequence[float | None]
    likeliest: Sequence[dict[str, float] | None]

    def greedy(self, first: int) -> tuple[bool, ...]:
        """Of each token from `first`; empty where the server does not say which is the likeliest."""
        told = self.likeliest[first:]
        if not told or any(not entry for entry in told):
            return ()
        values = self.values[first:]
        best = [max(entry.values()) for entry in told if entry]
        return tuple(value is not None and value >= top for value, top in zip(values, best, strict=True))


def echoed(choice: Any) -> Echo:
    told = choice.logprobs
    if told is None or not told.token_logprobs:
        raise MalformedAnswerError("no log-probabilities came")
    end = len(told.token_logprobs) - 1
    tokens = [str(token) for token in told.tokens or ()]
    return Echo(tokens[:end], list(told.token_logprobs)[:end], [*(told.top_logprobs or ())][:end])


def has_echo(answer: Any) -> bool:
    try:
        return len(echoed(answer.choices[0]).values) > 1
    except MalformedAnswerError:
        return False


def first_of(tokens: Sequence[str], continuation: str) -> int:
    """The token that the continuation begins in, counted from the end: a server may put tokens before the text."""
    length = 0
    for place in range(len(tokens) - 1, -1, -1):
        length += len(tokens[place])
        if length >= len(continuation):
            return place
    raise MalformedAnswerError("the echoed tokens are fewer than the text that was sent")
