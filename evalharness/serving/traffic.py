"""Requests on their way through the server: which wait for the model, which it works on, and who sent them away."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from evalharness.backends.wrapping import PassedTicket, Wrapper
from evalharness.serving.errors import Refusal
from evalharness.serving.metrics import Metrics
from evalharness.types import Backend, Ticket

RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come again."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One HTTP request."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    """Seconds since 1970."""
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began


class Traffic:
    """Counts the visits that ask the model. Used on the event loop alone, but for `begin`."""

    def __init__(self, metrics: Metrics, most_queued: int) -> None:
        self._metrics = metrics
        self._most_queued = most_queued
        self._queued: set[str] = set()
        self._running: set[str] = set()
        self._loop = asyncio.get_running_loop()

    @contextmanager
    def admitted(self, visit: Visit) -> Iterator[None]:
        """The visit waits or runs inside of this.

        Raises:
            Refusal: too many wait already.
        """
        if len(self._queued) >= self._most_queued:
            raise Refusal(
                429,
                f"{len(self._queued)} requests wait for the model already; come again in a moment.",
                code="queue_full",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        self._queued.add(visit.id)
        self._show()
        try:
            yield
        finally:
            self._queued.discard(visit.id)
            self._running.discard(visit.id)
            self._show()

    def begin(self, id: str) -> None:
        """The backend works on something that the visit `id` asked; called from any thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody counts any more
            self._loop.call_soon_threadsafe(self._begun, id)

    def _begun(self, id: str) -> None:
        if id in self._queued:
            self._queued.discard(id)
            self._running.add(id)
            self._show()

    def _show(self) -> None:
        self._metrics.queued.set(len(self._queued))
        self._metrics.running.set(len(self._running))


class Observed(Wrapper):
    """A backend of which is told when it begins with a request: `begun` gets the sample id of its origin."""

    def __init__(self, inner: Backend, begun: Callable[[str], None]) -> None:
        super().__init__(inner)
        self._begun = begun

    def passed(self, ticket: Ticket) -> Ticket:
        return _ObservedTicket(ticket, self._begun)


class _ObservedTicket(PassedTicket):
    __slots__ = ("_begun",)

    def __init__(self, outer: Ticket, begun: Callable[[str], None]) -> None:
        super().__init__(outer, outer.request, lambda result: result)
        self._begun = begun

    def begin(self) -> None:
        self._begun(self.request.origin.sample_id)
        super().begin()
