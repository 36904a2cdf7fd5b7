"""The server over its socket: who it answers, what it allows, how it is begun."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer.made import line, run_of

from evalharness.errors import UsageError
from evalharness.viewer.server import HEADERS, Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    run_of(tmp_path / "one", [line("a", said="\ud800")])
    with Server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", host: str | None = "localhost") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:9"])
def test_this_machine_is_answered(server: Server, host: str) -> None:
    assert ask(server, "/", host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", None, "[", "evil@10.0.0.1"]
)
def test_a_page_that_had_its_own_name_lead_here_is_refused(server: Server, host: str | None) -> None:
    found = ask(server, "/", host=host)
    assert found.status == 403
    assert b"<table" not in found.read()


def test_two_hosts_are_refused(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest("GET", "/", skip_host=True)
    connection.putheader("Host", "localhost")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_it_only_shows(server: Server, method: str) -> None:
    found = ask(server, "/", method)
    assert (found.status, found.headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_is_a_get_without_its_body(server: Server) -> None:
    found = ask(server, "/", "HEAD")
    assert found.status == 200
    assert int(found.headers["Content-Length"]) > 0
    assert found.read() == b""


@pytest.mark.parametrize("path", ["/", "/run?run=one", "/nowhere", "/assets/view.js", "/favicon.ico"])
def test_every_answer_allows_only_itself(server: Server, path: str) -> None:
    headers = ask(server, path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/assets/../server.py", "/assets/%2e%2e/server.py", "/assets/run.html", "//evil.example"]
)
def test_no_other_file_is_handed_out(server: Server, path: str) -> None:
    assert ask(server, path).status == 404
    assert b"BaseHTTPRequestHandler" not in ask(server, path).read()


def test_a_text_that_is_no_utf_8_is_shown(server: Server) -> None:
    assert rb"\ud800" in ask(server, "/sample?run=one&id=a").read()


def test_a_fault_of_ours_is_one_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server.viewer, "answer", lambda target: 1 / 0)
    found = ask(server, "/")
    assert (found.status, b"internal error: ZeroDivisionError" in found.read()) == (500, True)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_listens_to_this_machine_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_one_sentence(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="something else listens there already; name another port"):
        Server(tmp_path, server.server_address[1])
