"""A backend behind a server: requests are sent at once, as far as the server keeps up, and again where they failed."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from evalharness.backends.remote.budget import Budget
from evalharness.backends.remote.failures import TIMEOUTS, Failure, RemoteError, delay, judged
from evalharness.backends.remote.limiter import Limiter
from evalharness.errors import EvalHarnessError
from evalharness.types import BackendInfo, Request, Result, Ticket, Tokenizer, Wave

LOOK = 0.1
"""Seconds after which a wave looks whether its last request has been answered."""

Answer = TypeVar("Answer")


class RemoteBackend(ABC):
    """An `evalharness.types.Backend` whose requests run on an event loop of its own, in a thread of its own."""

    def __init__(
        self,
        *,
        server: str,
        budget: Budget,
        concurrency: int,
        retries: int,
        time_limit: float,
        tokenizer: Tokenizer | None,
    ) -> None:
        self.server = server
        """How sentences name the server."""
        self.budget = budget
        self.retries = retries
        self.time_limit = time_limit
        """Seconds that one attempt may take; the queue does not count."""
        self.tokenizer = tokenizer
        self._limiter = Limiter(concurrency)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: dict[Ticket, Future[None]] = {}

    @property
    @abstractmethod
    def info(self) -> BackendInfo: ...

    @abstractmethod
    async def ask(self, request: Request) -> Result:
        """Send one request, once. Whatever it raises is judged by `failures.judged`."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Let go of the client."""

    # ------------------------------------------------------------------------ waves

    def answer(self, wave: Wave) -> None:
        for ticket in wave:
            self._start(ticket)
        looked = time.monotonic()
        while self._under_way:
            for ticket in wave.joined(wait=LOOK):
                self._start(ticket)
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                for ticket, request in list(self._under_way.items()):
                    if ticket.cancelled:
                        request.cancel()
                        self._under_way.pop(ticket, None)

    def spent(self) -> dict[str, float]:
        """What was asked and used since the last call: requests, attempts again, tokens, cost."""
        return self.budget.taken()

    def close(self) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.disconnect(), self._loop).result(timeout=10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def wait_for(self, coroutine: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run something on the backend's loop and wait for it, from another thread."""

        async def run() -> Answer:
            return await coroutine()

        return asyncio.run_coroutine_threadsafe(run(), self._running_loop()).result()

    def _start(self, ticket: Ticket) -> None:
        request = asyncio.run_coroutine_threadsafe(self._serve(ticket), self._running_loop())
        self._under_way[ticket] = request
        request.add_done_callback(lambda _: self._under_way.pop(ticket, None))

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name=f"requests to {self.server}", daemon=True).start()
        return self._loop

    # ------------------------------------------------------------------------ one request

    async def _serve(self, ticket: Ticket) -> None:
        try:
            ticket.resolve(await self.insist(lambda: self.ask(ticket.request)))
        except Exception as error:
            ticket.fail(error)

    async def insist(self, ask: Callable[[], Awaitable[Answer]], *, retries: int | None = None) -> Answer:
        """What `ask` returns, asked again while that may help.

        Raises:
            RemoteError: the server did not answer, for good.
            BudgetError: the budget is spent.
        """
        most = self.retries if retries is None else retries
        attempt = timeouts = 0
        while True:
            async with self._limiter as began:
                self.budget.check()
                self.budget.count("requests")
                try:
                    answer = await asyncio.wait_for(ask(), self.time_limit)
                except EvalHarnessError:
                    raise
                except Exception as error:
                    failure = judged(error, self.server, self.time_limit)
                    if failure.busy:
                        self._limiter.refused(began)
                        self.budget.count("refusals")
                else:
                    self._limiter.answered()
                    return answer
            timeouts += failure.timed_out
            if not failure.again or attempt >= most or timeouts > TIMEOUTS:
                raise _final(failure, attempt)
            self.budget.count("attempts_again")
            await asyncio.sleep(delay(attempt, failure.after))
            attempt += 1


def _final(failure: Failure, attempt: int) -> RemoteError:
    again = f" (asked {attempt + 1} times)." if attempt else "."
    error = RemoteError(failure.sentence.rstrip(".") + again)
    error.status = failure.status
    return error
