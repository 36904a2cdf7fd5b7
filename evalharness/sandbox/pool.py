"""Boxes for coroutines: several at once, none of which holds up the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from evalharness.sandbox.outcome import LIMITS, Limits, Outcome
from evalharness.sandbox.sandbox import Sandbox, Session

Result = TypeVar("Result")

TIMES_THE_REFERENCE = 10
"""A candidate may take so many times as long as a right program does on the same machine under the same load."""


class Pool:
    """A sandbox for a whole run."""

    def __init__(self, sandbox: Sandbox, workers: int | None = None) -> None:
        """
        Args:
            workers: programs that run at a time; as many as there are processors, unless given.
        """
        self.sandbox = sandbox
        self._threads = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)), thread_name_prefix="sandbox")

    async def run(self, source: str, *, stdin: str = "", limits: Limits = LIMITS) -> Outcome:
        """`Sandbox.run`."""
        return await self._in_thread(lambda: self.sandbox.run(source, stdin=stdin, limits=limits))

    async def test(
        self,
        source: str,
        *,
        tests: str,
        calls: Sequence[str],
        setup: str = "",
        in_box: bool = False,
        limits: Limits = LIMITS,
        reference: str | None = None,
    ) -> Outcome:
        """`Sandbox.test`; with a right program as `reference`, a candidate that runs out of time is tried again with
        ten times what the reference takes, where that is more."""

        def tested(program: str, limits: Limits) -> Outcome:
            return self.sandbox.test(program, tests=tests, calls=calls, setup=setup, in_box=in_box, limits=limits)

        def judged() -> Outcome:
            outcome = tested(source, limits)
            if outcome.status != "timeout" or reference is None:
                return outcome
            longer = replace(limits, seconds=limits.seconds * TIMES_THE_REFERENCE)
            right = tested(reference, longer)
            seconds = TIMES_THE_REFERENCE * right.seconds
            if right.status != "pass" or seconds <= limits.seconds:
                return outcome
            return tested(source, replace(limits, seconds=seconds))

        return await self._in_thread(judged)

    def session(self, *, limits: Limits = LIMITS) -> AsyncSession:
        """`Sandbox.session`, for coroutines."""
        return AsyncSession(self.sandbox.session(limits=limits), self._in_thread)

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class AsyncSession:
    """A session whose calls are awaited. An asynchronous context manager."""

    def __init__(self, session: Session, in_thread: Callable[[Callable[[], Any]], Any]) -> None:
        self._session, self._in_thread = session, in_thread

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._session.close)

    async def execute(self, code: str) -> Outcome:
        """`Session.execute`."""
        outcome: Outcome = await self._in_thread(lambda: self._session.execute(code))
        return outcome

    async def reset(self) -> None:
        """`Session.reset`."""
        await self._in_thread(self._session.reset)
