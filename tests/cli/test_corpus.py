"""`evalharness corpus`: built from a YAML, killed and gone on with, shown, and refused in one sentence."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import yaml
from e2e.command import Process, said
from e2e.rows import arc_easy, gsm8k
from stack.corpus.built import files_in
from stack.corpus.planted import copies, vocabulary
from tokenizers_for_tests import EOS, trained

TEXTS = [*copies(seed=3, originals=40).texts.values(), " ".join(vocabulary(9, 20_000))]
"""The last one is longer than all others together."""


def pipeline(here: Path, name: str = "corpus.yaml", **changes: Any) -> Path:
    values = {
        "output": Path(name).stem,
        "sources": [{"name": "rows", "paths": ["rows.jsonl"]}],
        "deduplication": {"near": {"permutations": 64}},
        "shard_tokens": 25_000,
    }
    (here / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    (here / name).write_text(yaml.safe_dump(values | changes))
    return here / name


def shards(folder: Path) -> int:
    return len(list(folder.glob("*/*.json")))


def test_kill_9_with_workers_goes_on_to_the_same_bytes_and_leaves_no_process(here: Path) -> None:
    said("corpus", "build", pipeline(here, "whole.yaml")).done()
    process = Process(here, "corpus", "build", pipeline(here, "killed.yaml"), "--workers", "2")
    workers: list[psutil.Process] = []

    def begun() -> bool:
        if process.process.poll() is None:
            workers[:] = psutil.Process(process.process.pid).children(recursive=True)
        return shards(here / "killed") >= 2

    assert process.when(begun, signal.SIGKILL).code == -signal.SIGKILL
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    there = shards(here / "killed")
    again = said("corpus", "build", here / "killed.yaml", "--workers", "2").done()
    assert f"{there} shards were there already" in again.err
    whole, killed = (files_in(here / name) for name in ("whole", "killed"))
    assert killed.pop("card.md").replace(b"Corpus killed", b"Corpus whole") == whole.pop("card.md")
    assert killed == whole


def test_a_full_disk_keeps_what_is_whole(here: Path) -> None:
    path = pipeline(here)
    full = Process(here, "corpus", "build", path, "--quiet", largest_file=90_000).wait()
    full.refused(74, "File too large; what is whole is kept: make room or mend it, and run the same command again")
    assert shards(here / "corpus") >= 2
    assert not list((here / "corpus").rglob("*.partial"))
    said("corpus", "build", path).done()
    said("corpus", "build", pipeline(here, "whole.yaml")).done()
    assert files_in(here / "corpus" / "rows") == files_in(here / "whole" / "rows")


def test_the_harness_own_tasks_are_looked_for(here: Path) -> None:
    question, answer = gsm8k(8)[7]["question"], gsm8k(8)[7]["answer"]
    arc = arc_easy(6)[5]["question"]  # 8 words: looked for by 8
    texts = [f"Somebody wrote: {question} Did he?", f"{answer}", f"{arc} None.", "Box 7 holds marbles of two colours."]
    path = pipeline(here, decontamination={"tasks": ["gsm8k", "arc_easy"]})
    (here / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    done = said("corpus", "build", path).done()
    assert "removed: 2 contaminated" in done.out
    facts = json.loads(said("corpus", "show", here / "corpus", "--json").done().out)["benchmarks"]
    assert facts["gsm8k"] == {"ngram": 13, "items": 60, "too_short": 0, "found": 1, "matches": 1}
    assert facts["arc_easy"] == {"ngram": 8, "items": 60, "too_short": 0, "found": 1, "matches": 1}
    assert json.loads((here / "corpus" / "contaminated.json").read_text()) == {"arc_easy": ["own-5"], "gsm8k": ["7"]}


def test_a_tokenizer_of_a_folder_makes_the_ids_and_show_reads_them(here: Path) -> None:
    (here / "own").mkdir()
    trained().save(str(here / "own" / "tokenizer.json"))
    (here / "own" / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS}))
    texts = ["The answer is 42.", f"A text may spell {EOS} itself.", "Zoë läuft"]
    path = pipeline(here, tokenizer="own")
    (here / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    said("corpus", "build", path).done()
    facts = json.loads(said("corpus", "show", here / "corpus", "--json").done().out)
    assert facts["tokenizer"]["vocab_size"] == trained().get_vocab_size()
    assert facts["sources"]["rows"]["documents"] == 3
    shown = said("corpus", "show", here / "corpus", "--documents", "3", "--check").done().out
    for number, text in enumerate(texts):
        assert f"rows, document {number}: {text}" in shown
    assert "every byte is what was written" in shown

    (here / "own" / "tokenizer_config.json").write_text("{}")
    said("corpus", "build", pipeline(here, "endless.yaml", tokenizer="own")).refused(
        65, "own has no EOS token; name one of its tokens with end_token"
    )


def test_show_prints_the_card(here: Path) -> None:
    said("corpus", "build", pipeline(here, packing={"length": 65})).done()
    shown = said("corpus", "show", here / "corpus").done().out
    for part in ("# Corpus corpus", "| exact copy | 40 |", "## Packing", "permutations: 64", "rows, document 1: "):
        assert part in shown


def test_what_is_wrong_is_one_sentence(here: Path) -> None:
    said("corpus", "build", pipeline(here, filtres={})).refused(65, "filtres: unknown key; did you mean 'filters'?")
    path = pipeline(here, filters={"length": {"min_word": 3}})
    said("corpus", "build", path).refused(65, "filters.length.min_word: unknown key; did you mean 'min_words'?")
    said("corpus", "build", pipeline(here, decontamination={"tasks": ["gsm8kk"]})).refused(64, "gsm8k")
    said("corpus", "show", here).refused(65, "no finished corpus (no corpus.json)")
    said("corpus", "build", pipeline(here)).done()
    shard = here / "corpus" / "rows" / "00000.tokens"
    shard.write_bytes(shard.read_bytes()[:-1])
    said("corpus", "show", here / "corpus").refused(65, f"{shard.name}: has", "bytes and should have")


def test_a_signal_ends_it_and_keeps_what_is_whole(here: Path) -> None:
    path = pipeline(here)
    process = Process(here, "corpus", "build", path, "--quiet")
    ended = process.when(lambda: shards(here / "corpus") >= 1, signal.SIGTERM)
    assert ended.code in (0, 143)
    assert "Traceback" not in ended.err
    said("corpus", "build", path).done()
