"""Waves: how the requests of many coroutines reach one backend together, with nobody counting coroutines.

A sample is a coroutine and awaits `Waves.ask` as often as it likes. The first pending request arms a check
on the event loop; the check re-arms while new requests keep arriving and, once the loop has run dry
(`QUIET_TURNS` turns with nothing new), everything pending goes down as one wave. So whatever could be asked
now is asked together, and a sample that waits on a tool or another backend never holds up the rest.

The backend lives in a thread of its own and answers one wave at a time. What is asked meanwhile waits: an
engine takes it in while it works (`Wave.joined`), and what no one took is part of the next wave, which is
sent once every answer of the last one has been delivered and the loop has run dry again. An answer is
delivered when its own request is done, not when its wave is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from evalharness.errors import EvalHarnessError, ServiceError
from evalharness.types import Backend, GenerateRequest, Request, Result, Ticket

QUIET_TURNS = 3
"""Turns of the event loop without a new request after which it has run dry: a coroutine that was woken in
one turn may start others in the next, and a gather's children ask one turn after that."""

GRACE_SECONDS = 10.0
"""How long `Waves.close` waits for a backend that works on and looks at no cancellation."""


class RequestTimeoutError(ServiceError):
    """A request was in service longer than its time limit."""


class _Ticket:
    """One request on its way: asked on the event loop, answered from the backend's thread."""

    __slots__ = ("_waves", "cancelled", "finished", "future", "request", "timer", "tokens")

    def __init__(self, waves: Waves, request: Request, future: asyncio.Future[Result]) -> None:
        self._waves = waves
        self.request = request
        self.future = future
        self.tokens = prompt_tokens(request)
        self.cancelled = False
        self.finished = False
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if self._waves.time_limit is not None:
            self._waves._post((self, None))

    def resolve(self, result: Result) -> None:
        self.finished = True
        self._waves._post((self, result))

    def fail(self, error: BaseException) -> None:
        self.finished = True
        self._waves._post((self, _raisable(error)))


class _Wave:
    """What `Backend.answer` is handed."""

    def __init__(self, tickets: Sequence[_Ticket], waves: Waves) -> None:
        self._first = tuple(tickets)
        self.taken = list(tickets)
        """Those of them, and of those that joined, that have no answer."""
        self._waves = waves

    def __len__(self) -> int:
        return len(self._first)

    def __iter__(self) -> Iterator[_Ticket]:
        return iter(self._first)

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        if wait:
            self._waves._await_late(wait)
        late = [ticket for ticket in self._waves._take_late() if not ticket.cancelled]
        if late:
            self._waves.sizes.append(len(late))
            # A server's wave may never end: what is answered is let go.
            self.taken = [ticket for ticket in self.taken if not ticket.finished] + late
        return list(late)

    def more(self) -> bool:
        return self._waves.more


class Waves:
    """The event-loop side of one backend. Use it from one event loop, as an async context manager.

    Args:
        time_limit: seconds that a request may be in service; time in the queue does not count.
    """

    def __init__(self, backend: Backend, *, time_limit: float | None = None) -> None:
        self.backend = backend
        self.time_limit = time_limit
        self.pending_tokens = 0
        """Prompt tokens asked and not yet answered: what admission of further samples is steered by."""
        self.more = False
        """Whether samples are still to be admitted: who admits them sets it."""
        self.sizes: list[int] = []
        """Requests in each wave sent so far."""
        self._immediate = backend.info.immediate
        self._loop = asyncio.get_running_loop()
        self._pending: list[_Ticket] = []
        """Asked and not sent."""
        self._late: deque[_Ticket] = deque()
        """Sent while the backend is at work: it may take them in, else they go back to the pending ones."""
        self._late_here = threading.Event()
        self._arrived = 0
        self._armed = False
        self._busy = False
        """Whether the backend has a wave whose last answer has not been delivered."""
        self._outbox: deque[tuple[_Ticket, Result | Exception | None] | None] = deque()
        """Answers on their way to the loop; None says that the backend is done with its wave."""
        self._draining = False
        self._unanswered: set[_Ticket] = set()
        self._closed = False
        self._inbox: SimpleQueue[list[_Ticket] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"backend {backend.info.kind}", daemon=True)
        self._thread.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, request: Request) -> Result:
        """The backend's answer to one request.

        Raises:
            RequestTimeoutError: it was in service longer than the time limit.
            Exception: whatever the backend failed the request with.
        """
        if self._closed:
            raise RuntimeError("these waves are closed")
        ticket = _Ticket(self, request, self._loop.create_future())
        self._unanswered.add(ticket)
        self.pending_tokens += ticket.tokens
        self._pending.append(ticket)
        self._arrived += 1
        if self._immediate:
            self._send()
        else:
            self._arm()
        try:
            return await ticket.future
        finally:
            ticket.cancelled = True
            self._unanswered.discard(ticket)
            self.pending_tokens -= ticket.tokens
            if ticket.timer is not None:
                ticket.timer.cancel()

    async def close(self) -> None:
        """Cancel whoever still waits, and end the backend's thread.

        A backend that looks at `Ticket.cancelled` leaves its wave at once. One that does not is left to itself after
        `GRACE_SECONDS`; its thread does not keep the process alive.
        """
        if self._closed:
            return
        self._closed = True
        for ticket in list(self._unanswered):
            ticket.cancelled = True
            ticket.future.cancel()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join, GRACE_SECONDS)

    # ------------------------------------------------------------- on the event loop

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._check, self._arrived, 0)

    def _check(self, arrived: int, quiet: int) -> None:
        """Send what is pending if the loop has run dry since `arrived` requests had come; else look again."""
        quiet = quiet + 1 if arrived == self._arrived else 0
        if quiet < QUIET_TURNS:
            self._loop.call_soon(self._check, self._arrived, quiet)
            return
        self._armed = False
        self._send()

    def _send(self) -> None:
        wave = [ticket for ticket in self._pending if not ticket.cancelled]
        self._pending.clear()
        if self._busy:
            self._late.extend(wave)
            self._late_here.set()
        elif wave:
            self._busy = True
            self.sizes.append(len(wave))
            self._inbox.put(wave)

    def _deliver(self) -> None:
        """Hand out everything that the backend's thread has posted; one wake-up serves many answers."""
        self._draining = False
        while self._outbox:
            posted = self._outbox.popleft()
            if posted is None:
                self._busy = False
                self._pending[:0] = self._take_late()
                if self._pending:
                    self._arm()
                continue
            ticket, outcome = posted
            if ticket.future.done():
                continue
            if outcome is None:
                self._start_clock(ticket)
            elif isinstance(outcome, Exception):
                ticket.future.set_exception(outcome)
            else:
                ticket.future.set_result(outcome)

    def _start_clock(self, ticket: _Ticket) -> None:
        if self.time_limit is not None and ticket.timer is None:
            ticket.timer = self._loop.call_later(self.time_limit, self._expire, ticket)

    def _expire(self, ticket: _Ticket) -> None:
        if not ticket.future.done():
            ticket.cancelled = True
            ticket.future.set_exception(
                RequestTimeoutError(
                    f"a request of sample {ticket.request.origin.sample_id} was in service for more than "
                    f"{self.time_limit:g} s; raise --time-limit, or ask for fewer tokens."
                )
            )

    # ------------------------------------------------------------- on the backend's thread

    def _await_late(self, seconds: float) -> None:
        self._late_here.wait(seconds)
        self._late_here.clear()

    def _take_late(self) -> list[_Ticket]:
        late = []
        while True:
            try:
                late.append(self._late.popleft())
            except IndexError:
                return late

    def _post(self, posted: tuple[_Ticket, Result | Exception | None] | None) -> None:
        self._outbox.append(posted)
        # A race on this flag costs at most one wake-up too many: `_deliver` lowers it before it looks.
        if not self._draining:
            self._draining = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                # The event loop has closed: nobody is left to be told.
                return

    def _serve(self) -> None:
        while (tickets := self._inbox.get()) is not None:
            wave = _Wave([ticket for ticket in tickets if not ticket.cancelled], self)
            error: BaseException = EvalHarnessError(
                f"the backend {self.backend.info.kind} returned without answering every request of a wave."
            )
            try:
                if len(wave):
                    self.backend.answer(wave)
            except BaseException as raised:  # a panic in a Rust library is no Exception
                error = raised
            for ticket in wave.taken:
                if not ticket.finished and not ticket.cancelled:
                    ticket.fail(error)
            self._post(None)


def _raisable(error: BaseException) -> Exception:
    """The error as a future can raise it: nothing that ends a thread, no StopIteration, which ends a coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return EvalHarnessError(f"the backend broke down: {type(error).__name__}: {error}")


def prompt_tokens(request: Request) -> int:
    """Tokens that a request makes a model read; without ids, a rough count from the text."""
    prompt = request.prompt if isinstance(request, GenerateRequest) else request.context
    ids = prompt.ids if isinstance(request, GenerateRequest) else request.ids
    return len(ids) if ids is not None else len(prompt.text) // 4 + 1
