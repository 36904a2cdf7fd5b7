"""Requests with somebody who waits for them, in place of an event loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from evalharness.types import (
    Backend,
    Completion,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Request,
    Result,
    Sampling,
    ScoreRequest,
    Ticket,
)

ORIGIN = Origin(task="demo", sample_id="7", index=7)


class OneTicket:
    """A ticket that keeps what it is told."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.cancelled = False
        self.begun = 0
        self.result: Any = None
        self.error: Exception | None = None

    def begin(self) -> None:
        self.begun += 1

    def resolve(self, result: Result) -> None:
        assert self.result is None
        assert self.error is None
        self.result = result

    def fail(self, error: Exception) -> None:
        assert self.result is None
        assert self.error is None
        self.error = error

    @property
    def likelihood(self) -> Likelihood:
        assert isinstance(self.result, Likelihood), self.error
        return self.result

    @property
    def texts(self) -> tuple[Completion, ...]:
        assert self.result is not None, self.error
        return self.result.completions


class Tickets(list[Any]):
    """A wave; `later` join it one call of `joined` after another."""

    def __init__(self, tickets: Iterable[OneTicket], later: Iterable[OneTicket] = ()) -> None:
        super().__init__(tickets)
        self.later = list(later)

    def more(self) -> bool:
        return False

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        return [self.later.pop(0)] if self.later else []


def answer(backend: Backend, tickets: Iterable[OneTicket]) -> None:
    """One wave."""
    backend.answer(Tickets(tickets))


def prompt(ids: Sequence[int] | None) -> Prompt:
    return Prompt(messages=(), text="", ids=None if ids is None else tuple(ids))


def score(ids: Sequence[int] | None, start: int) -> OneTicket:
    request = ScoreRequest(
        origin=ORIGIN, context=prompt(None), continuation="", ids=None if ids is None else tuple(ids), start=start
    )
    return OneTicket(request)


def generate(ids: Sequence[int] | None, n: int = 1, on_tokens: Any = None, **sampling: Any) -> OneTicket:
    request = GenerateRequest(
        origin=ORIGIN, prompt=prompt(ids), sampling=Sampling(**{"max_tokens": 8} | sampling), n=n, on_tokens=on_tokens
    )
    return OneTicket(request)
