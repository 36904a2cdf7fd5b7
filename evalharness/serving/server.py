"""The server's life: it takes its port, serves, and stops without cutting anybody off in mid-sentence."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING

from evalharness.backends.batching import Waves
from evalharness.errors import ServiceError, UsageError
from evalharness.serving.app import application
from evalharness.serving.metrics import Metrics
from evalharness.serving.service import Service
from evalharness.serving.traffic import Observed, Traffic
from evalharness.types import Backend

if TYPE_CHECKING:
    import uvicorn

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may be told to a server."""

    name: str
    """Of the model, to clients."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any that is free."""
    most_queued: int = 1024
    """Requests that may wait for the model."""
    key: str | None = None
    """What clients must send."""
    grace: int = 30
    """Seconds that running requests have left once the server is told to stop."""


class Server:
    """Serves one backend. It has its port from the beginning; clients that come before `run` wait.

    Raises:
        ServiceError: a package is missing.
        UsageError: the port is taken, or the host is none of this machine's.
    """

    def __init__(self, backend: Backend, settings: Settings) -> None:
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            raise ServiceError(
                f"serving needs the package '{missing[0]}', which is not installed: pip install 'evalharness[server]'"
            )
        self._backend = backend
        self._settings = settings
        self._socket = _listening(settings.host, settings.port)
        self._uvicorn: uvicorn.Server | None = None
        self._stopped = False

    @property
    def address(self) -> str:
        """``http://127.0.0.1:8000/v1``."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"http://{host}:{self._socket.getsockname()[1]}/v1"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self._socket.getsockname()[0]).is_loopback

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`, or, in the main thread, SIGINT or SIGTERM.

        Args:
            ready: called once clients are served and signals are heeded.
        """
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        """Accept nothing more and end when the running requests have, or their grace is over; a second time, at once.

        Safe to call from any thread.
        """
        if self._uvicorn is not None:
            self._uvicorn.force_exit = self._stopped
            self._uvicorn.should_exit = True
        self._stopped = True

    async def _serve(self, ready: Callable[[], None]) -> None:
        settings, metrics = self._settings, Metrics()
        traffic = Traffic(metrics, settings.most_queued)
        with self._signals():
            async with Waves(Observed(self._backend, traffic.begin)) as waves:
                # Further requests are always to come: what several share is kept for them.
                waves.more = True
                app = application(Service(waves, settings.name), traffic, metrics, settings.key)
                self._uvicorn = _uvicorn(app, settings.grace)
                self._uvicorn.should_exit = self._stopped
                ready()
                await self._uvicorn.serve(sockets=[self._socket])

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def _uvicorn(app: object, grace: int) -> uvicorn.Server:
    import uvicorn

    class Quiet(uvicorn.Server):
        """Leaves signals to us: its own way ends the process with the signal that stopped it."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="critical",
        timeout_graceful_shutdown=grace,
        timeout_keep_alive=60,
    )
    return Quiet(config)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"--port {port}: something else listens there already; name another port, or 0 for any that is free."
            ) from None
        raise UsageError(
            f"--host {host} --port {port}: the server cannot listen there ({error.strerror or error})."
        ) from None
