"""`evalharness serve` as a user types it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.command import environment, said

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    line: str

    @property
    def root(self) -> str:
        found = re.search(r"http://[^/]+", self.line)
        assert found is not None, self.line
        return found[0]

    def get(self, path: str, **headers: str) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(self.root + path, headers=headers), timeout=20) as response:
            return bytes(response.read())

    def post(self, path: str, body: object) -> bytes:
        request = urllib.request.Request(self.root + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=20) as response:
            return bytes(response.read())

    def ended(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err


@contextmanager
def running(plugin: Path, *arguments: object, **changes: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-m", "evalharness", "serve", "--port", "0", *map(str, arguments)],
        env=environment((plugin,), **changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A process that was started in the background of a shell inherits a deaf ear for Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield Running(process, process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_its_address_serves_and_leaves_with_0(plugin: Path, number: signal.Signals) -> None:
    with running(plugin, "--model", "fake:") as server:
        assert re.fullmatch(r"serving fake as fake: at http://127\.0\.0\.1:\d+/v1 \(Ctrl-C stops\)\n", server.line), (
            server.line
        )
        assert json.loads(server.get("/v1/models"))["data"][0]["id"] == "fake:"
        assert server.ended(number) == (0, "")


def test_a_running_request_is_finished_first(plugin: Path, tmp_path: Path) -> None:
    with running(plugin, "--model", f"fake:seconds=1&log={tmp_path / 'log'}", "--served-name", "f") as server:
        answers: list[bytes] = []
        asking = threading.Thread(
            target=lambda: answers.append(server.post("/v1/completions", {"prompt": "x", "model": "f"}))
        )
        asking.start()
        give_up = time.monotonic() + 20
        while not (tmp_path / "log").exists():
            assert time.monotonic() < give_up
            time.sleep(0.01)
        assert server.ended(signal.SIGTERM) == (0, "")
        asking.join(20)
    assert json.loads(answers[0])["choices"][0]["text"].startswith("Well, ####")


def test_a_key_comes_from_the_environment(plugin: Path) -> None:
    with running(plugin, "--model", "fake:", "--api-key-env", "A_KEY", A_KEY="secret") as server:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            server.get("/v1/models")
        assert server.get("/v1/models", Authorization="Bearer secret")


def test_an_open_server_without_a_key_is_warned_of(plugin: Path) -> None:
    with running(plugin, "--model", "fake:", "--host", "0.0.0.0") as server:
        code, err = server.ended(signal.SIGTERM)
        assert (code, err) == (
            0, "evalharness: warning: whoever reaches 0.0.0.0 can use this server; --api-key-env NAME asks for a key.\n"
        )  # fmt: skip


@pytest.mark.usefixtures("fake")
def test_a_key_that_is_not_set_is_said() -> None:
    said("serve", "--model", "fake:", "--api-key-env", "NO_SUCH_KEY").refused(
        64, "--api-key-env NO_SUCH_KEY", "not set"
    )


@pytest.mark.usefixtures("fake")
def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said("serve", "--model", "fake:", "--port", port).refused(64, f"--port {port}", "name another port")


@pytest.mark.usefixtures("fake")
def test_a_host_that_is_not_ours_is_one_sentence() -> None:
    said("serve", "--model", "fake:", "--port", 0, "--host", "203.0.113.1").refused(64, "--host 203.0.113.1")


@pytest.mark.usefixtures("fake")
def test_a_missing_package_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.serving.server.PACKAGES", ("no_such_package",))
    said("serve", "--model", "fake:").refused(69, "no_such_package", "pip install 'evalharness[server]'")


def test_options_of_the_model_are_checked() -> None:
    said("serve", "--threads", 0).refused(64, "--threads 0")
    said("serve", "--model", "nowhere.gguf").refused(64, "nowhere.gguf")
    said("serve", "--max-queue", 0).refused(64, "--max-queue")
    said("serve", "--adapter", "nowhere").refused(64, "--adapter nowhere: no adapter_config.json there")
    said("serve", "--revision", "main").refused(64, "--revision main: models of the stack are local files")
