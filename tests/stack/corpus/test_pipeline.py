"""A build gives the same bytes whoever computes it and wherever it was cut off, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from stack.corpus.built import Make, files_in, outcomes
from stack.corpus.planted import benchmark, copies
from tokenizers_for_tests import EOS, trained

from evalharness.stack.corpus import shards
from evalharness.stack.corpus.decontamination import BenchmarkItem
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.corpus.reading import open_corpus
from evalharness.stack.errors import CorpusError
from evalharness.stack.tokenization.text import from_folder

ITEMS = benchmark(seed=5, count=8)


def options(**changes: Any) -> PipelineOptions:
    """Two sources with everything in them that a pipeline removes."""
    values = {
        "output": "corpus",
        "sources": [
            {"name": "rows", "paths": ["rows.jsonl"]},
            {"name": "lines", "paths": ["lines"], "unit": "line"},
        ],
        "filters": {"length": {"min_words": 3}},
        "deduplication": {"near": {"permutations": 64}},
        "decontamination": {"tasks": ["t"], "remove": "span", "margin": 20, "shortest_piece": 100},
        "packing": {"length": 129},
        "shard_tokens": 20_000,
    }
    return PipelineOptions.model_validate(values | changes)


def items() -> list[BenchmarkItem]:
    return [BenchmarkItem("t", name, [text]) for name, text in ITEMS.items.items()]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    rows = [*copies(seed=1, originals=12).texts.values(), "", "too short", *ITEMS.texts.values()]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    (tmp_path / "lines").mkdir()
    for name in ("a", "b", "empty"):
        lines = copies(seed=ord(name[0]), originals=5).texts.values() if name != "empty" else []
        body = "".join(line.strip() + "\n" for line in lines).encode()
        (tmp_path / "lines" / f"{name}.txt").write_bytes(body + (b"\xff broken line here\n" if name == "b" else b""))
    return tmp_path


def built(texts: Path, **changes: Any) -> dict[str, bytes]:
    return files_in(build(options(**changes), texts, items()).folder)


def test_the_number_of_workers_changes_no_byte(texts: Path) -> None:
    alone = built(texts, output="alone")
    together = built(texts, output="together", workers=2)
    assert together.pop("card.md") == alone.pop("card.md").replace(b"# Corpus alone", b"# Corpus together")
    assert together == alone
    assert len([name for name in alone if name.endswith(".tokens")]) > 3


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_any_write_it_goes_on_to_the_same_bytes(texts: Path, step: int) -> None:
    expected = built(texts)
    writes = sum(name != ".lock" for name in expected)
    for last in range(writes, 0, -step):
        folder = f"killed-{last}"
        child = os.fork()
        if child == 0:
            _die_at_write(last)
            built(texts, output=folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), last
        assert os.WTERMSIG(status) == signal.SIGKILL
        with pytest.raises(CorpusError, match="no finished corpus"):
            open_corpus(texts / folder)
        again = built(texts, output=folder)
        again["card.md"] = again["card.md"].replace(folder.encode(), b"corpus")
        assert again == expected, last


def _die_at_write(last: int) -> None:
    """In a child: kill -9 when the `last`-th file stands beside its place and is not renamed yet."""
    real, written = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal written
        written += 1
        if written == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    Path.replace = replace  # type: ignore[method-assign,assignment]


def test_a_finished_corpus_is_left_as_it_is(texts: Path) -> None:
    folder = build(options(), texts, items()).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.tokens")}
    again = build(options(), texts, items())
    assert again.written == 0
    assert again.resumed == len(before)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.tokens")} == before


def test_every_document_is_counted_once(texts: Path) -> None:
    corpus = open_corpus(build(options(), texts, items()).folder, check=True)
    rows, lines = corpus.facts["sources"]["rows"], corpus.facts["sources"]["lines"]
    assert rows["read"] == 4 * 12 + 2 + 6 * 8
    assert rows["outcomes"]["empty"] == 1
    assert rows["outcomes"]["length: too few words"] == 1
    assert rows["outcomes"]["exact copy"] == 12
    assert rows["outcomes"]["near copy"] >= 10
    assert rows["outcomes"]["cut"] == 3 * 8
    assert lines["outcomes"]["broken"] == 1
    for name, own in corpus.facts["sources"].items():
        assert own["read"] == sum(own["outcomes"].values())
        # Bytes as tokens: one a byte, and one that ends each document.
        assert own["tokens"] == own["bytes"] + own["documents"] == corpus.sources[name].tokens
        assert own["documents"] == corpus.sources[name].documents


def test_a_document_comes_back_as_it_was(make: Make) -> None:
    texts = ["Häuser\nam See", "日本", "\tspaces at both ends ", "<|endoftext|> is a text"]
    corpus = make(texts)
    shards = corpus.sources["texts"]
    assert [bytes(shards.document(n).tolist()[:-1]).decode() for n in range(4)] == texts
    assert all(shards.document(n)[-1] == 256 for n in range(4))


@pytest.mark.parametrize("looked_for", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_line_of_50_megabytes_is_a_document(make: Make, looked_for: bool) -> None:
    line = "word " * 10_000_000
    more = {"deduplication": {"near": {}}, "decontamination": {"tasks": ["t"]}, "items": items()} if looked_for else {}
    corpus = make([line, "after"], **more)
    assert [line["outcome"] for line in outcomes(corpus)] == ["kept", "kept"]
    assert corpus.sources["texts"].tokens == 50_000_000 + 1 + 5 + 1


def test_nothing_kept_is_a_corpus_of_nothing(make: Make) -> None:
    corpus = make(["", " \n"])
    assert corpus.sources["texts"].tokens == corpus.sources["texts"].documents == 0
    assert corpus.facts["sources"]["texts"]["outcomes"] == {"empty": 2}


def test_another_pipeline_does_not_go_on_with_a_corpus(texts: Path) -> None:
    build(options(), texts, items())
    with pytest.raises(CorpusError, match=r"begun here with other options; name another output"):
        build(options(filters={}), texts, items())
    with pytest.raises(CorpusError, match=r"other benchmarks"):
        build(options(), texts, items()[:-1])
    (texts / "lines" / "c.txt").write_text("one more\n")
    with pytest.raises(CorpusError, match=r"other files"):
        build(options(), texts, items())


def test_a_damaged_shard_is_told_and_made_anew(texts: Path) -> None:
    folder = build(options(), texts, items()).folder
    expected = files_in(folder)
    for part in [*shards.PARTS, "json"]:
        path = folder / "rows" / f"00001.{part}"
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        with pytest.raises(CorpusError, match=rf"00001\.{part}: (has .* bytes and should have|not a record)"):
            open_corpus(folder)
        if part != "signatures":
            path.write_bytes(whole)
    (folder / "rows" / "00001.json").unlink()
    with pytest.raises(CorpusError, match=r"00001\.json: this shard is missing"):
        open_corpus(folder)
    assert built(texts) == expected


def test_changed_bytes_are_found_by_their_hash(texts: Path) -> None:
    folder = build(options(), texts, items()).folder
    path = folder / "rows" / "00000.tokens"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    open_corpus(folder)
    with pytest.raises(CorpusError, match=r"00000\.tokens: its bytes are not those that were written"):
        open_corpus(folder, check=True)


def test_a_vocabulary_that_is_too_small_is_told(make: Make) -> None:
    corpus = make(["one"])
    corpus.require_vocabulary(257)
    with pytest.raises(CorpusError, match=r"ids up to 256, but the model knows 256 ids; give it a vocabulary of 257"):
        corpus.require_vocabulary(256)
    with pytest.raises(CorpusError, match=r"made with the tokenizer 'bytes', which is not the model's"):
        corpus.require_vocabulary(257, fingerprint="of another")


def test_a_tokenizer_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    trained().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS}))
    (tmp_path / "a.txt").write_text("The answer is 42.")
    values = {"output": "corpus", "tokenizer": ".", "sources": [{"name": "texts", "paths": ["."]}]}
    for _ in range(2):  # the second time its own folder lies in the source's
        corpus = open_corpus(build(PipelineOptions.model_validate(values), tmp_path).folder)
    corpus.require_vocabulary(corpus.vocab_size, from_folder(tmp_path).fingerprint)
    ids = corpus.sources["texts"].document(0).tolist()
    assert ids == [*from_folder(tmp_path).encode("The answer is 42."), trained().token_to_id(EOS)]


def test_two_builds_in_one_folder_are_refused(texts: Path) -> None:
    import fcntl

    (texts / "corpus").mkdir()
    with (texts / "corpus" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CorpusError, match="another process is building here"):
            build(options(), texts, items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"end_token": "</s>"}, r"bytes has one special token"),
        ({"filters": {"language": {"keep": ["tlh"]}}}, r"'tlh' cannot be told; known: en,"),
        (
            {"sources": [{"name": "a", "paths": ["nowhere/*.txt"]}]},
            r"sources.a: .*nowhere/\*.txt: there is no such file",
        ),
        ({"tokenizer": "nowhere"}, r"has no tokenizer.json"),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(texts: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message) as told:
        build(options(**values), texts, items())
    assert type(told.value).__module__ == "evalharness.stack.errors"
