"""The hub is asked once, briefly, and through the proxies of the environment."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from evalharness.data.reachability import endpoint, offline_by_choice, why_unreachable


@contextmanager
def server(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every HEAD with `status`; gives its address and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}", asked
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, None), (401, None), (404, None), (407, "HTTP status 407"), (503, "HTTP status 503")],
)
def test_an_answer_of_the_hub_itself_counts(status: int, answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(status) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address + "/")
        assert why_unreachable(3) == answer


def test_a_closed_port_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        assert "refused" in str(why_unreachable(3))


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "nowhere")
    assert "unknown url type" in str(why_unreachable(3))


def test_a_server_that_never_answers_is_given_up_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(time, "monotonic", lambda: 1000.0)  # no minute may end between the two questions
        assert why_unreachable(0.3) in ("no answer within 0.3 s", "timed out")
        silent.settimeout(1)
        silent.accept()[0].close()
        silent.settimeout(0.1)
        assert why_unreachable(0.3) is not None
        with pytest.raises(TimeoutError):
            silent.accept()


def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time.sleep(2) or [])
    monkeypatch.setenv("HF_ENDPOINT", "http://slow-name.invalid")
    assert why_unreachable(0.2) == "no answer within 0.2 s"


def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(200) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        assert why_unreachable(3) is None
        assert asked == ["http://hub.invalid"] or asked == ["http://hub.invalid/"]


@pytest.mark.parametrize(("value", "expected"), [("1", "HF_HUB_OFFLINE"), ("true", "HF_HUB_OFFLINE"), ("0", None)])
def test_the_user_may_forbid_the_hub(value: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert offline_by_choice() == expected
    assert endpoint() == "https://huggingface.co"
