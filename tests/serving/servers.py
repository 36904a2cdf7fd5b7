"""A server in a thread of this process, and clients of it."""

from __future__ import annotations

import faulthandler
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from evalharness.serving.server import Server, Settings
from evalharness.types import Backend

PATIENCE = 30
"""Seconds after which what a test waits for counts as not coming."""


@dataclass(frozen=True)
class Answer:
    """How a request ended."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def refused(self, status: int, *fragments: str) -> str:
        """The sentence of an error, after checking its form and what it says."""
        assert self.status == status, self.text
        error = self.json["error"]
        assert set(error) == {"message", "type", "code"}
        for fragment in fragments:
            assert fragment in error["message"], error["message"]
        return str(error["message"])


class Served:
    """A running server."""

    def __init__(self, server: Server, thread: threading.Thread) -> None:
        self.server = server
        self.thread = thread
        self.address = server.address
        self.root = server.address.removesuffix("/v1")

    def client(self, key: str = "none") -> OpenAI:
        return OpenAI(base_url=self.address, api_key=key, max_retries=0, timeout=PATIENCE)

    def get(self, path: str, **headers: str) -> Answer:
        return self._sent(urllib.request.Request(self.root + path, headers=headers))

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._sent(urllib.request.Request(self.root + path, content, headers))

    def metric(self, name: str) -> float:
        """A number of /metrics, by its whole name with labels."""
        lines = self.get("/metrics").text.splitlines()
        return float(next((line.split()[-1] for line in lines if line.startswith(f"{name} ")), 0))

    def until(self, reached: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < give_up, self.get("/metrics").text
            time.sleep(0.01)

    @staticmethod
    def _sent(request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return Answer(response.status, dict(response.headers), response.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read().decode())


@contextmanager
def serving(backend: Backend, **settings: Any) -> Iterator[Served]:
    server = Server(backend, Settings(**{"name": "tiny", "port": 0, "grace": 5, **settings}))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Served(server, thread)
    finally:
        server.stop()
        thread.join(PATIENCE)
        if thread.is_alive():
            faulthandler.dump_traceback(all_threads=True)
        assert not thread.is_alive()
