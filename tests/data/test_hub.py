"""The hub, imitated on the loopback interface for the real `datasets` in a process of its own.

A process of its own, because the libraries read HF_ENDPOINT and HF_HOME once, at import.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("datasets")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = """---
configs:
- config_name: main
  data_files: [{split: test, path: test.jsonl}]
dataset_info:
  config_name: main
  features:
  - {name: question, dtype: string}
  - {name: label, dtype: {class_label: {names: {'0': wrong, '1': right}}}}
---
"""
ROWS = [{"question": "1 + 1 = 2?", "label": 1}, {"question": "1 + 1 = 3?", "label": 0}]
FILES = {"README.md": CARD.encode(), "test.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode()}
API = "/api/datasets/org/sums"


class ImitatedHub(BaseHTTPRequestHandler):
    """One data set, ``org/sums``, whose only commit is COMMIT."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.removeprefix(f"/datasets/org/sums/resolve/{COMMIT}/")
        if path == "/":
            self._send(b"")
        elif path in (API, f"{API}/revision/{COMMIT}"):
            files = [{"rfilename": file} for file in FILES]
            self._send(json.dumps({"id": "org/sums", "sha": COMMIT, "siblings": files}).encode())
        elif path == f"{API}/tree/{COMMIT}":
            listed = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in FILES.items()
            ]
            self._send(json.dumps(listed).encode())
        elif name in FILES:
            self._send(FILES[name])
        else:
            self._send(b"", 404)

    do_HEAD = do_GET

    def _send(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound" if "/resolve/" in self.path else "RevisionNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listener = ThreadingHTTPServer(("127.0.0.1", 0), ImitatedHub)
    thread = Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()
    thread.join()


LOAD = """
import dataclasses, json, sys
from evalharness.data.options import DataOptions
from evalharness.data.sources import load_split
from evalharness.errors import EvalHarnessError
try:
    split = load_split(DataOptions(hub="org/sums", **json.loads(sys.argv[1])), "test")
    print(json.dumps({"rows": split.rows, **dataclasses.asdict(split.source)}))
except EvalHarnessError as error:
    print(json.dumps({"error": str(error)}))
"""


def _load(home: Path, endpoint: str, options: dict[str, Any], **environment: str) -> dict[str, Any]:
    # TRANSFORMERS_OFFLINE keeps huggingface_hub offline too.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    environment = {**inherited, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1", **environment}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", LOAD, json.dumps(options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


PINNED = {"config": "main", "revision": COMMIT}
CLOSED = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("huggingface")


@pytest.fixture(scope="module")
def downloaded(home: Path, address: str) -> dict[str, Any]:
    """What the first load gave; from then on the cache in `home` has the split."""
    return _load(home, address, {"config": "main"})


def test_rows_and_the_resolved_commit(downloaded: dict[str, Any]) -> None:
    assert downloaded["rows"] == ROWS
    assert (downloaded["kind"], downloaded["location"], downloaded["config"]) == ("hub", "org/sums", "main")
    assert (downloaded["revision"], downloaded["n"], downloaded["of"]) == (COMMIT, 2, 2)


def test_a_commit_that_the_hub_lacks(home: Path, address: str) -> None:
    assert "RevisionNotFound" in _load(home, address, {"config": "main", "revision": "f" * 40})["error"]


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["out of reach", "forbidden"])
def test_the_cache_serves_without_the_hub(home: Path, downloaded: dict[str, Any], environment: dict[str, str]) -> None:
    assert _load(home, CLOSED, PINNED, **environment) == downloaded


def test_a_cached_copy_of_another_commit_is_refused(home: Path, downloaded: dict[str, Any]) -> None:
    error = _load(home, CLOSED, {"config": "main", "revision": "f" * 40})["error"]
    assert f"the cache of datasets holds commit {downloaded['revision']}, not {'f' * 40}" in error


def test_no_copy_anywhere(tmp_path: Path) -> None:
    error = _load(tmp_path, CLOSED, PINNED)["error"]
    assert f"the hub {CLOSED} (" in error
    assert "no copy in the cache of datasets" in error


def test_the_libraries_are_offline_only_for_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants as hub_constants

    from evalharness.data.hub import load
    from evalharness.data.options import DataOptions
    from evalharness.data.unavailable import Unavailable

    seen: list[bool] = []

    def absent(*args: object, **kwargs: object) -> Callable[[], None]:
        seen.append(hub_constants.HF_HUB_OFFLINE)
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", absent)
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(Unavailable):
        load(DataOptions(hub="org/sums"), "test", None, 0.1)
    assert seen == [True]
    assert hub_constants.HF_HUB_OFFLINE is False
