"""The application: addresses, keys, counting, and one form for every error."""

from __future__ import annotations

import asyncio
import hmac
import sys
from collections.abc import Callable, Coroutine, MutableMapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from evalharness.serving.endpoints import Endpoints
from evalharness.serving.errors import Refusal, refusal_of
from evalharness.serving.metrics import Metrics
from evalharness.serving.reply import LEFT, ClientLeftError, Receive, Reply, Send, attended, body_of
from evalharness.serving.requests import Body, ChatBody, CompletionBody, DetokenizeBody, TokenizeBody, parsed
from evalharness.serving.service import Service
from evalharness.serving.traffic import Traffic, Visit

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

B = TypeVar("B", bound=Body)
Handler = Callable[[B, Visit, Reply], Coroutine[Any, Any, None]]
Scope = MutableMapping[str, Any]


def application(service: Service, traffic: Traffic, metrics: Metrics, key: str | None) -> FastAPI:
    """What a web server runs. With a `key`, every address but ``/health`` asks for it."""
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    app = FastAPI(openapi_url=None)
    ends = Endpoints(service, metrics)

    def add(
        method: str,
        path: str,
        body: type[B],
        handler: Handler[B],
        *,
        asks: Traffic | None = None,
        key: str | None = key,
    ) -> None:
        app.router.routes.append(Route(path, _Address(path, body, handler, metrics, asks, key), methods=[method]))

    add("POST", "/v1/completions", CompletionBody, ends.completions, asks=traffic)
    add("POST", "/v1/chat/completions", ChatBody, ends.chat, asks=traffic)
    add("POST", "/tokenize", TokenizeBody, ends.tokenize)
    add("POST", "/detokenize", DetokenizeBody, ends.detokenize)
    add("GET", "/tokenizer_info", Body, ends.tokenizer_info)
    add("GET", "/v1/models", Body, ends.models)
    add("GET", "/v1/models/{model:path}", Body, ends.model)
    add("GET", "/metrics", Body, ends.metrics)
    add("GET", "/health", Body, ends.health, key=None)

    async def unknown(request: Request, error: Exception) -> Response:
        from fastapi.responses import JSONResponse

        assert isinstance(error, HTTPException)
        path = request.url.path
        sentence = f"{path}: no such address here; /v1/chat/completions and /v1/completions ask the model."
        if error.status_code == 405:
            sentence = f"{path}: {request.method} is not what this address answers to."
        metrics.ended("other", error.status_code, 0.0)
        body = Refusal(error.status_code, sentence, code="not_found").body
        return JSONResponse(body, error.status_code, headers=dict(error.headers or {}))

    app.add_exception_handler(HTTPException, unknown)
    return app


class _Address(Generic[B]):
    """One address as an ASGI application: what every request goes through on its way to a handler and back."""

    def __init__(
        self,
        path: str,
        body: type[B],
        handler: Handler[B],
        metrics: Metrics,
        traffic: Traffic | None,
        key: str | None,
    ) -> None:
        self._path = path
        self._body = body
        self._handler = handler
        self._metrics = metrics
        self._traffic = traffic
        """Of the addresses that ask the model."""
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit, reply = Visit(), Reply(send)
        status: int | None = None
        try:
            await self._served(scope, receive, visit, reply)
        except ClientLeftError:
            status = LEFT
            self._metrics.cancelled.inc()
        except asyncio.CancelledError:
            # The server stops and has waited as long as it would; nobody awaits this task.
            status = 503
            self._metrics.cancelled.inc()
            await reply.refuse(Refusal(status, "the server stops; ask again when it is back.", code="stopping"))
        except Exception as error:
            refusal = refusal_of(error)
            status = refusal.status
            if status >= 500:
                print(f"evalharness: {self._path}: {refusal}", file=sys.stderr)
            await reply.refuse(refusal)
        finally:
            self._metrics.ended(self._path, status or reply.status or 500, visit.seconds)

    async def _served(self, scope: Scope, receive: Receive, visit: Visit, reply: Reply) -> None:
        self._check_key(scope)
        if scope["method"] == "POST":
            body = parsed(self._body, await body_of(receive))
        else:
            body = self._body.model_validate(scope["path_params"])
        with nullcontext() if self._traffic is None else self._traffic.admitted(visit):
            await attended(receive, self._handler(body, visit, reply))

    def _check_key(self, scope: Scope) -> None:
        if self._key is None:
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, f"Bearer {self._key}".encode()):
            raise Refusal(
                401,
                "this server asks for a key, and this request has none or a wrong one; send Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
