"""Clients that leave, a queue that is full, keys, and the way a server stops; the model drips letters."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import AuthenticationError, RateLimitError
from serving.models import Dripping
from serving.servers import Answer, Served, serving

LONG = {"prompt": "x", "max_tokens": 50_000}


@contextmanager
def open_request(served: Served, body: dict[str, Any], path: str = "/v1/completions") -> Iterator[socket.socket]:
    """A request whose answer nobody has read yet."""
    content = json.dumps(body).encode()
    place = urlsplit(served.root)
    with closing(socket.create_connection((place.hostname, place.port))) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
        yield connection


class Asking(threading.Thread):
    """A request that is answered beside the test."""

    def __init__(self, served: Served, body: dict[str, Any]) -> None:
        super().__init__()
        self._served, self._body = served, body
        self.answer: Answer | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._served.post("/v1/completions", self._body)

    def answered(self) -> Answer:
        self.join(30)
        assert self.answer is not None
        return self.answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_client_that_leaves_frees_its_request(stream: bool, path: str) -> None:
    turn = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 50_000}
    with serving(Dripping()) as served:
        with open_request(served, {**(LONG if path == "/v1/completions" else turn), "stream": stream}, path):
            served.until(lambda: served.metric("evalharness_requests_running") == 1)
        served.until(lambda: served.metric("evalharness_requests_cancelled_total") == 1)
        assert served.metric("evalharness_requests_running") == 0
        assert served.metric(f'evalharness_requests_total{{endpoint="{path}",status="499"}}') == 1


def test_one_of_several_prompts_does_not_outlive_its_client() -> None:
    with serving(Dripping(at_once=2)) as served:
        with open_request(served, {**LONG, "prompt": ["a", "b", "c"]}):
            served.until(lambda: served.metric("evalharness_requests_running") == 1)
        served.until(lambda: served.metric("evalharness_requests_cancelled_total") == 1)
        # Whoever comes next finds the model free.
        assert served.post("/v1/completions", {"prompt": "x", "max_tokens": 4}).json["choices"][0]["text"] == "abca"


def test_a_full_queue_turns_clients_away() -> None:
    with serving(Dripping(at_once=1), most_queued=2) as served, open_request(served, LONG):
        served.until(lambda: served.metric("evalharness_requests_running") == 1)
        with open_request(served, LONG), open_request(served, LONG):
            served.until(lambda: served.metric("evalharness_requests_queued") == 2)
            turned = served.post("/v1/completions", LONG)
            turned.refused(429, "2 requests wait for the model already")
            assert turned.headers["retry-after"] == "1"
            with pytest.raises(RateLimitError):
                served.client().completions.create(model="tiny", prompt="x")
        served.until(lambda: served.metric("evalharness_requests_queued") == 0)


def test_a_key_is_asked_for_everywhere_but_at_health() -> None:
    with serving(Dripping(), key="open sesame") as served:
        for answer in (served.get("/v1/models"), served.get("/metrics"), served.post("/v1/completions", LONG)):
            answer.refused(401, "asks for a key")
        served.get("/v1/models", Authorization="Bearer open").refused(401)
        with pytest.raises(AuthenticationError):
            served.client("wrong").models.list()
        assert [model.id for model in served.client("open sesame").models.list()] == ["tiny"]
        assert served.get("/health").status == 200


def test_a_server_that_stops_finishes_what_runs() -> None:
    with serving(Dripping()) as served:
        asking = Asking(served, {"prompt": "x", "max_tokens": 200})
        served.until(lambda: served.metric("evalharness_requests_running") == 1)
        served.server.stop()
        assert len(asking.answered().json["choices"][0]["text"]) == 200
        served.thread.join(10)
        assert not served.thread.is_alive()
        with pytest.raises(OSError, match="refused"):
            served.get("/health")


def test_a_server_that_stops_waits_only_so_long() -> None:
    with serving(Dripping(), grace=1) as served:
        asking = Asking(served, LONG)
        served.until(lambda: served.metric("evalharness_requests_running") == 1)
        served.server.stop()
        asking.answered().refused(503, "the server stops")


def test_a_server_that_is_told_twice_stops_at_once() -> None:
    with serving(Dripping(), grace=60) as served:
        asking = Asking(served, LONG)
        served.until(lambda: served.metric("evalharness_requests_running") == 1)
        served.server.stop()
        served.server.stop()
        served.thread.join(10)
        assert not served.thread.is_alive()
        asking.answered().refused(503, "the server stops")


def test_an_error_in_a_stream_is_an_event() -> None:
    class Failing(Dripping):
        def _step(self, saying: Any) -> bool:
            super()._step(saying)
            if len(saying.said) == 5:
                raise RuntimeError("out of ink")
            return False

    with serving(Failing()) as served:
        events = served.post("/v1/completions", {**LONG, "stream": True}).text.split("\n\n")
        assert "out of ink" in json.loads(events[-3].removeprefix("data: "))["error"]["message"]
        assert events[-2:] == ["data: [DONE]", ""]
        served.post("/v1/completions", LONG).refused(500, "out of ink")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"prompt": "ab", "max_tokens": 0, "echo": True, "logprobs": 1}, "generates texts and scores none"),
        ({"prompt": "ab", "logprobs": 1, "max_tokens": 2}, "tells no log-probabilities of tokens"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(body: dict[str, Any], sentence: str) -> None:
    with serving(Dripping()) as served:
        served.post("/v1/completions", body).refused(400, sentence)
