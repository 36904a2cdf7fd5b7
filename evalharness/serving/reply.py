"""One HTTP request from the server's side: its body, its answer, and whether the client is still there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any

from evalharness.serving.errors import Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Made once: `json.dumps` with these arguments builds a new encoder a call, and every token is one.
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
LEFT = 499
"""Status under which a request is counted whose client did not wait for the answer."""


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


async def body_of(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        ClientLeftError: the client left before it had sent it.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def attended(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but cancel it as soon as the client leaves. The body must have been read.

    Raises:
        ClientLeftError: the client left.
        Exception: what the work raised.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Reply:
    """The answer to one request: JSON at once, or events one after another."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        """Once the answer has begun."""

    async def json(
        self, value: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        await self.content(_encoded(value), "application/json", status=status, headers=headers)

    async def content(
        self, content: bytes, kind: str, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer."""
        await self._begin(status, kind, {"Content-Length": str(len(content)), **(headers or {})})
        await self._send({"type": "http.response.body", "body": content})

    async def event(self, value: Mapping[str, Any]) -> None:
        """One server-sent event; the first one begins the answer."""
        if self.status is None:
            await self._begin(200, "text/event-stream; charset=utf-8", {"Cache-Control": "no-cache"})
        await self._send({"type": "http.response.body", "body": b"data: %b\n\n" % _encoded(value), "more_body": True})

    async def end_of_events(self) -> None:
        await self._send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def refuse(self, refusal: Refusal) -> None:
        """An error in place of the answer, or of the rest of it."""
        if self.status is None:
            await self.json(refusal.body, status=refusal.status, headers=refusal.headers)
        else:
            await self.event(refusal.body)
            await self.end_of_events()

    async def _begin(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.status = status
        named = {"Content-Type": kind, **headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def _encoded(value: Mapping[str, Any]) -> bytes:
    # A lone surrogate, which JSON can spell and UTF-8 cannot, may come back in an error.
    return _JSON.encode(value).encode(errors="replace")
