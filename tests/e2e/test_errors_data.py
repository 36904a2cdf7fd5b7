"""Data that are wrong: the file, the row, the column, and what would be right."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from e2e.command import Process, Said, environment, said

from evalharness.records.folder import find_runs

GOOD = b'{"id": "a", "question": "1 + 1?", "answer": "2"}\n{"id": "b", "question": "2 + 2?", "answer": "4"}\n'
PACKED = gzip.compress(GOOD, mtime=0)


def told(here: Path, name: str, content: bytes, **data: Any) -> Said:
    """Run a task of one's own over a data file."""
    (here / name).write_bytes(content)
    definition = {
        "name": "own",
        "data": {"file": name, **data},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
    }
    (here / "own.yaml").write_text(yaml.safe_dump(definition))
    return said("run", "--task", "own.yaml", "--model", "fake:", "--quiet")


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("own.jsonl", GOOD.replace(b"answer", b"anser"), ["no column 'answer' in row 0", "did you mean 'anser'?"]),
        ("own.jsonl", GOOD + b'{"question": "3?"}\n', ["no column 'answer' in row 2"]),
        ("own.jsonl", GOOD + b'{"question": \n', ["own.jsonl, line 3", "not JSON"]),
        ("own.jsonl", GOOD + b"[1, 2]\n", ["own.jsonl, line 3", "a JSON list"]),
        ("own.jsonl", GOOD + b"null\n", ["own.jsonl, line 3"]),
        ("own.jsonl", b"", ["own.jsonl", "has no rows"]),
        ("own.jsonl", b"\n\n", ["own.jsonl", "has no rows"]),
        ("own.jsonl", "{\"question\": \"f\xfcr?\", \"answer\": \"1\"}\n".encode("latin-1"), ["own.jsonl", "not UTF-8"]),
        ("own.jsonl", GOOD.replace(b'"4"', b"NaN"), ["own.jsonl", "row 1"]),
        ("own.jsonl", b"[" * 100_000 + b"\n", ["own.jsonl, line 1"]),
        ("own.jsonl", GOOD + b'{"question": "x", "answer": ' + b"9" * 5000 + b"}\n", ["own.jsonl, line 3"]),
        ("own.jsonl.gz", GOOD, ["own.jsonl.gz", "cannot be read"]),
        ("own.jsonl.gz", PACKED[:-12], ["own.jsonl.gz", "cannot be read"]),
        ("own.jsonl.gz", PACKED[:20] + b"\xff\xff" + PACKED[22:], ["own.jsonl.gz"]),
        ("own.csv", b"question,answer\n1?,2\n2?\n", ["own.csv, line 3", "1 cells", "2 columns"]),
        ("own.csv", b"question,question\n1,2\n", ["own.csv, line 1", "repeated"]),
        ("own.csv", b'question,answer\n"1?,2\n', ["own.csv"]),
        ("own.csv", b"question,answer\n", ["own.csv", "has no rows"]),
        ("own.csv", b"question,answer\n1?,\x00\n", ["own.csv"]),
        ("own.parquet", b"PAR1 and nothing", ["own.parquet", "not a parquet file"]),
        ("own.parquet", b"", ["own.parquet"]),
        ("own.txt", GOOD, ["own.txt", "its name must end in one of"]),
    ],
    ids=[
        "no column", "column of one row", "bad row", "list", "null", "empty", "blank", "latin-1", "nan", "deep",
        "long number", "not gzip", "gzip cut", "gzip damaged", "cells", "header", "quote", "no rows", "nul", "parquet",
        "empty parquet", "suffix",
    ],
)  # fmt: skip
def test_a_file_that_is_wrong(name: str, content: bytes, fragments: list[str], here: Path, fake: None) -> None:
    result = told(here, name, content)
    if name == "own.csv" and b"\x00" in content and result.code == 0:
        return  # a NUL is a character like any other to some versions of the csv module
    result.refused(65, *fragments)
    assert not (here / "runs").exists()


def test_ids_that_are_repeated(here: Path, fake: None) -> None:
    told(here, "own.jsonl", GOOD.replace(b'"b"', b'"a"'), id="id").refused(65, "rows 0 and 1 both have the id 'a'")


def test_an_id_column_that_is_not_there(here: Path, fake: None) -> None:
    told(here, "own.jsonl", GOOD, id="key").refused(65, "no column 'key'")


def test_a_file_that_is_not_there(here: Path, fake: None) -> None:
    told(here, "own.jsonl", GOOD, file="other.jsonl").refused(65, "other.jsonl: no such file")


@pytest.mark.parametrize(
    ("indices", "fragment"),
    [
        ({"indices": [0], "source_rows": 9}, "2 rows but 1 indices"),
        ({"indices": [0, 9], "source_rows": 9}, "a row stands at position 9"),
        ({"indices": [0, "x"], "source_rows": 9}, "'indices' must be the list"),
        ({"source_rows": 9}, "'indices' must be the list"),
        ([0, 1], "must be one JSON object"),
    ],
)
def test_indices_of_a_mirror_that_do_not_fit(indices: Any, fragment: str, here: Path, fake: None) -> None:
    folder = here / "mirror/EleutherAI/lambada_openai/default"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"text": "a b"}\n{"text": "c d"}\n')
    (folder / "test.indices.json").write_text(json.dumps(indices))
    said("run", "--task", "lambada_openai", "--data-dir", "mirror", "--model", "fake:").refused(65, fragment)


# --------------------------------------------------------------------------- the hub


def ask_hub(here: Path, endpoint: str, plugin: Path) -> Said:
    """The command with a hub of our own, in a process of its own (its libraries read their settings once)."""
    arguments = [sys.executable, "-m", "evalharness", "run", "--task", "gsm8k", "--model", "fake:", "--quiet"]
    offline = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "EVALHARNESS_DATA")
    changes = {"HF_ENDPOINT": endpoint, "HF_HOME": str(here / "cache"), "NO_PROXY": "127.0.0.1"}
    told = environment((plugin,), **changes)
    ended = subprocess.run(
        arguments,
        cwd=here,
        env={key: value for key, value in told.items() if key not in offline},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def test_a_hub_that_hangs(here: Path, plugin: Path) -> None:
    with socket.socket() as hub:
        hub.bind(("127.0.0.1", 0))
        hub.listen()
        ask_hub(here, f"http://127.0.0.1:{hub.getsockname()[1]}", plugin).refused(
            69, "no source has split 'test' of openai/gsm8k", "the hub http://127.0.0.1", "what would help"
        )


def test_a_hub_that_nobody_runs(here: Path, plugin: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ask_hub(here, f"http://127.0.0.1:{port}", plugin).refused(69, "no source has split 'test' of openai/gsm8k")


@pytest.fixture(params=[401, 404, 500])
def refusing_hub(request: pytest.FixtureRequest) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_hub_that_refuses(refusing_hub: str, here: Path, plugin: Path) -> None:
    ask_hub(here, refusing_hub, plugin).refused(69, "no source has split 'test' of openai/gsm8k", "what would help")


# --------------------------------------------------------------------------- in the middle of a run


def test_rows_that_one_by_one_cannot_be_asked(here: Path, plugin: Path) -> None:
    """Too many of them end the run; its journal says of each why."""
    rows = [{"question": "q", "texts": ["a", "b"], "gold": number % 5} for number in range(40)]
    (here / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    choices = {"texts": "{{ texts }}", "gold": "{{ gold }}"}
    prompt = {"question": "{{ question }}"}
    (here / "own.yaml").write_text(
        yaml.safe_dump({"name": "own", "data": {"file": "own.jsonl"}, "prompt": prompt, "choices": choices})
    )
    ended = Process(here, "run", "--task", "own.yaml", "--model", "fake:", "--quiet", path=(plugin,)).wait()
    assert ended.code == 4
    assert "samples failed" in ended.err
    (run,) = find_runs(here / "runs")
    said_why = [line["error"] for line in run.lines() if line.get("error")]
    assert said_why
    assert all("has the gold position" in sentence for sentence in said_why)
