"""Models that think before they answer: thought and answer are kept apart, by a named rule.

A stop string ends an answer, never a thought, so under a rule stops are applied here, to the answer, and not by the
engine. Where the tokens run out before an answer began, the completion has a thought, no text, and the finish reason
``length``: it is counted as truncated, and scored by nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from evalharness.backends.wrapping import PassedTicket, Wrapper
from evalharness.errors import UsageError, nearest
from evalharness.types import (
    Backend,
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Result,
    Ticket,
    Tokenizer,
)


class Rule(NamedTuple):
    """The marks around a thought."""

    opens: str
    closes: str


RULES = {
    "think": Rule("<think>", "</think>"),
    "thinking": Rule("<thinking>", "</thinking>"),
    "reasoning": Rule("<reasoning>", "</reasoning>"),
    "thought": Rule("<|begin_of_thought|>", "<|end_of_thought|>"),
}
"""``think``: DeepSeek-R1, Qwen3, QwQ, SmolLM3 and most others."""
FIELD = "field"
"""The server keeps thoughts apart itself, in a field of its answer."""


def keeping_apart(backend: Backend, rule: str) -> Backend:
    """The backend with thoughts kept apart by the rule of that name.

    Raises:
        UsageError: no such rule.
    """
    if rule == FIELD:
        return backend
    if rule not in RULES:
        raise UsageError(f"--reasoning {rule}: no such rule; {nearest(rule, [*RULES, FIELD])}")
    return _KeepsApart(backend, rule)


class _KeepsApart(Wrapper):
    def __init__(self, inner: Backend, rule: str) -> None:
        super().__init__(inner)
        self._name = rule

    @property
    def info(self) -> BackendInfo:
        info = self.inner.info
        return replace(info, details={**info.details, "reasoning": self._name})

    def passed(self, ticket: Ticket) -> Ticket:
        request = ticket.request
        if not isinstance(request, GenerateRequest):
            return ticket
        rule, stops = RULES[self._name], request.sampling.stop
        begun = request.prompt.text.rstrip().endswith(rule.opens)

        def apart(result: Result) -> Result:
            assert isinstance(result, Completions)
            return Completions(
                tuple(split(said, rule, stops, begun=begun, tokenizer=self.tokenizer) for said in result.completions)
            )

        return PassedTicket(ticket, replace(request, sampling=replace(request.sampling, stop=())), apart)


def split(
    completion: Completion, rule: Rule, stops: tuple[str, ...], *, begun: bool, tokenizer: Tokenizer | None = None
) -> Completion:
    """The completion with its thought apart, and its answer cut before the first of the stop strings.

    Args:
        begun: the prompt ends within the thought, so that the text does not open it.
        tokenizer: counts the thought's tokens.
    """
    text = completion.text
    opened = begun or text.lstrip().startswith(rule.opens)
    thought, closed, answer = text.partition(rule.closes)
    if not closed and not opened:
        return answer_cut(completion, stops)
    thought = thought.lstrip().removeprefix(rule.opens).strip()
    usage = dict(completion.usage)
    if tokenizer is not None and "reasoning_tokens" not in usage:
        usage["reasoning_tokens"] = len(tokenizer.encode(thought))
    return answer_cut(replace(completion, text=answer.lstrip(), reasoning=thought, usage=usage), stops)


def answer_cut(completion: Completion, stops: tuple[str, ...]) -> Completion:
    """The completion cut before the first stop string of its answer."""
    found = [(place, stop) for stop in stops if (place := completion.text.find(stop)) >= 0]
    if not found:
        return completion
    place, stop = min(found)
    return replace(completion, text=completion.text[:place], finish_reason="stop", stop=stop)
