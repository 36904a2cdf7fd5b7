"""Worked questions from a published file: beside the mirror, from its address, or said to be missing."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from evalharness.data.options import PromptFileOptions
from evalharness.data.prompt_file import load_prompt_file
from evalharness.data.sources import MissingDataError, SourceSettings
from evalharness.errors import DataError

TEXT = """Do not train on this.
-----
Add the numbers.

Q: 1 + 1
Options:
(A) 2
A: Let's think.
It is 2. So the answer is (A).

Q: 2 + 2
A: 4
"""
ROWS = [
    {"input": "1 + 1\nOptions:\n(A) 2", "answer": "Let's think.\nIt is 2. So the answer is (A)."},
    {"input": "2 + 2", "answer": "4"},
]
OPTIONS = PromptFileOptions(path="sums/{subset}.txt", url="http://127.0.0.1:9/{subset}.txt")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PromptFileOptions, list[str]]]:
    """The file at an address of the loopback interface, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/easy.txt" else 404)
            self.end_headers()
            self.wfile.write(TEXT.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    monkeypatch.delenv("HF_HUB_OFFLINE")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield (
        PromptFileOptions(path="sums/{subset}.txt", url=f"http://127.0.0.1:{server.server_port}/{{subset}}.txt"),
        asked,
    )
    server.shutdown()
    server.server_close()


def _write(folder: Path, text: str = TEXT) -> None:
    (folder / "sums").mkdir(parents=True)
    (folder / "sums/easy.txt").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("mirror", ["", "mirror"])
def test_beside_a_mirror(tmp_path: Path, mirror: str) -> None:
    (tmp_path / "data" / mirror).mkdir(parents=True)
    _write(tmp_path / "data" / "extra")
    split = load_prompt_file(OPTIONS, "easy", SourceSettings(data_dir=tmp_path / "data"))
    assert list(split.rows) == ROWS
    assert (split.source.location, split.source.n, split.source.config) == ("extra/sums/easy.txt", 2, "easy")


def test_a_python_source(tmp_path: Path) -> None:
    _write(tmp_path / "extra", 'prompt = """\nQuestion: 1 + 1?\n# Python code, return ans\nans = 1 + 1\n"""\n')
    options = OPTIONS.model_copy(update={"format": "program_of_thoughts"})
    split = load_prompt_file(options, "easy", SourceSettings(data_dir=tmp_path))
    assert list(split.rows) == [{"question": "1 + 1?", "program": "ans = 1 + 1"}]


def test_from_its_address_once(published: tuple[PromptFileOptions, list[str]]) -> None:
    options, asked = published
    for _ in range(2):
        assert list(load_prompt_file(options, "easy", SourceSettings()).rows) == ROWS
    assert asked == ["/easy.txt"]


def test_an_address_that_has_no_such_file(published: tuple[PromptFileOptions, list[str]]) -> None:
    with pytest.raises(MissingDataError, match=r"sums/hard.txt are missing.*Not Found"):
        load_prompt_file(published[0], "hard", SourceSettings())


def test_an_address_that_may_not_be_asked(published: tuple[PromptFileOptions, list[str]]) -> None:
    options, asked = published
    with pytest.raises(MissingDataError, match="not asked"):
        load_prompt_file(options, "easy", SourceSettings(hub=False))
    assert asked == []


def test_offline_it_is_said_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"HF_HUB_OFFLINE is set.*--data-dir DIR.*--shots 0"):
        load_prompt_file(OPTIONS, "easy", SourceSettings(data_dir=tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("-----\nNothing.", "no worked question"), ("-----\nS\n\nQ: one\n", "the question 'one.*' has no answer")],
)
def test_a_file_of_another_form(tmp_path: Path, text: str, sentence: str) -> None:
    _write(tmp_path / "extra", text)
    with pytest.raises(DataError, match=f"extra/sums/easy.txt: .*{sentence}"):
        load_prompt_file(OPTIONS, "easy", SourceSettings(data_dir=tmp_path))
