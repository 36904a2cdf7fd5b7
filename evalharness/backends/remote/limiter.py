"""How many requests are under way at once: more while a server keeps up, half as many when it says stop."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

FIRST = 16
"""Requests under way before anything is known of a server."""


class Limiter:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does.

    Every answer adds ``1 / limit``, so that a full round of answers adds one; a refusal halves the limit, once for all
    requests that were under way when it came.
    """

    def __init__(self, most: int, first: int = FIRST) -> None:
        self.most = most
        self.limit = float(min(first, most))
        self.running = 0
        self.halved = 0
        """How often the limit was halved: a request that began before the last time halves nothing again."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> int:
        """Wait for a place; returns what `refused` needs to know."""
        if self.running >= int(self.limit) or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._left()  # the place was given to one who left
                raise
        else:
            self.running += 1
        return self.halved

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left()

    def answered(self) -> None:
        self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def refused(self, began: int) -> None:
        if began == self.halved:
            self.halved += 1
            self.limit = max(1.0, self.limit / 2)

    def _left(self) -> None:
        self.running -= 1
        while self._waiting and self.running < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.running += 1
                turn.set_result(None)
