"""The server: this machine only, reading only."""

from __future__ import annotations

import errno
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import urlsplit

from evalharness.errors import UsageError
from evalharness.viewer.routes import Answer, Viewer

HOST = "127.0.0.1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names by which this machine calls itself. A page from elsewhere that had its own name lead here is refused."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Pages load from this server alone, and run no script that stands in them."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PATIENCE = 30
"""Seconds that a connection may say nothing."""


class Server(ThreadingHTTPServer):
    """Serves the runs of a folder.

    Raises:
        UsageError: the port is taken, or not ours to take.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, root: Path, port: int = 0) -> None:
        self.viewer = Viewer(root)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "something else listens there already"
            else:
                why = error.strerror or str(error)
            raise UsageError(f"--port {port}: {why}; name another port, or 0 for any that is free.") from None

    def server_bind(self) -> None:
        # The one of HTTPServer asks for this machine's name, which takes seconds where a name server is deaf.
        TCPServer.server_bind(self)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE
    server_version = "evalharness"
    sys_version = ""

    def parse_request(self) -> bool:
        """Refuses, besides what is no request, other hosts and whatever would do more than read."""
        if not super().parse_request():
            return False
        if not _is_loopback(self.headers.get_all("Host") or []):
            self._send(Answer(403, "text/plain", "this server answers to 127.0.0.1 and localhost only.\n"))
            return False
        if self.command not in ("GET", "HEAD"):
            self._send(Answer(405, "text/plain", "this server only shows: GET and HEAD.\n"))
            return False
        return True

    def do_GET(self) -> None:
        try:
            answer = self.server.viewer.answer(self.path)
        except Exception as error:
            sentence = f"internal error: {type(error).__name__}: {error}; this is a fault of evalharness."
            print(f"evalharness: {self.path}: {sentence}", file=sys.stderr)
            answer = Answer(500, "text/plain", f"{sentence}\n")
        self._send(answer)

    do_HEAD = do_GET

    def _send(self, answer: Answer) -> None:
        # A lone surrogate, which JSON can spell and UTF-8 cannot, is shown as its escape.
        body = answer.text.encode(errors="backslashreplace")
        self.send_response(answer.status)
        self.send_header("Content-Type", f"{answer.kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if answer.location:
            self.send_header("Location", answer.location)
        if answer.status == 405:
            self.send_header("Allow", "GET, HEAD")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a terminal full of requests hides the address."""


def _is_loopback(hosts: list[str]) -> bool:
    try:
        return len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in LOOPBACK
    except ValueError:
        return False
