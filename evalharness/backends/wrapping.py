"""A backend in front of another one: it sees every request and every answer that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from evalharness.types import Backend, BackendInfo, Request, Result, Ticket, Tokenizer, Wave


class Wrapper:
    """Passes waves on to `inner`, each ticket through `passed`; what else a backend offers is the inner one's."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @property
    def info(self) -> BackendInfo:
        return self.inner.info

    @property
    def tokenizer(self) -> Tokenizer | None:
        return self.inner.tokenizer

    def passed(self, ticket: Ticket) -> Ticket | None:
        """The ticket that the inner backend gets; None where this one has answered it."""
        return ticket

    def answer(self, wave: Wave) -> None:
        through = PassedWave(wave, self.passed)
        if len(through):
            self.inner.answer(through)

    def close(self) -> None:
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        # `warm`, `report`, `spent`: asked for by name, and offered by some backends only.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


class PassedWave:
    """A wave whose tickets, and those that join it, go through a function first."""

    def __init__(self, wave: Wave, passed: Callable[[Ticket], Ticket | None]) -> None:
        self._wave = wave
        self._passed = passed
        self._tickets = self._through(wave)

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._tickets)

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        return self._through(self._wave.joined(wait))

    def more(self) -> bool:
        return self._wave.more()

    def _through(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        return [passed for ticket in tickets if (passed := self._passed(ticket)) is not None]


class PassedTicket:
    """A ticket whose request, or result, is another one than what was asked and is answered."""

    __slots__ = ("_outer", "_result", "request")

    def __init__(self, outer: Ticket, request: Request, result: Callable[[Result], Result]) -> None:
        self._outer = outer
        self._result = result
        self.request = request

    @property
    def cancelled(self) -> bool:
        return self._outer.cancelled

    def begin(self) -> None:
        self._outer.begin()

    def resolve(self, result: Result) -> None:
        try:
            changed = self._result(result)
        except Exception as error:
            self._outer.fail(error)
        else:
            self._outer.resolve(changed)

    def fail(self, error: Exception) -> None:
        self._outer.fail(error)
