"""`inspect` shows what was asked, said, read and scored."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.command import environment, said
from e2e.fake import Fake
from e2e.rows import gsm8k, write_rows

import evalharness
from evalharness.records.folder import Run


def _replayed(*texts: str, **options: Any) -> Run:
    lines = [{"task": "gsm8k", "index": number, "completions": [text]} for number, text in enumerate(texts)]
    file = write_rows(Path("answers.jsonl"), lines)
    return evalharness.evaluate("gsm8k", model=f"replay:{file}", limit=len(texts), output=Path("runs/said"), **options)


@pytest.fixture
def run(here: Path) -> Run:
    """Four samples: right, wrong, without an answer, right."""
    right = [row["answer"] for row in gsm8k(4)]
    return _replayed(right[0], "So the answer is 41, I think.", "I do not know.", right[3])


def _shown(*arguments: object) -> list[str]:
    """Ids of the samples that are shown."""
    lines = said("inspect", *arguments).done().out.splitlines()
    return [line.split()[1] for line in lines if line.startswith("── ")]


def test_the_head_says_what_was_run(run: Run) -> None:
    first, second, *_ = said("inspect", run.path).done().out.splitlines()
    assert first.startswith("gsm8k · default · ")
    assert "exact_match 0.5 [" in first
    assert second == "runs/said (finished)"


def test_prompt_answer_and_what_is_right(run: Run) -> None:
    told = said("inspect", run.path, "--id", "1").done().out
    assert "Question: Box 1 holds 3 red and 3 blue marbles." in told
    assert "So the answer is ⟦41⟧, I think." in told
    assert "answer: '41'" in told
    assert "right: 6" in told
    assert "exact_match 0" in told


def test_why_nothing_was_read(run: Run) -> None:
    told = said("inspect", run.path, "--unparsed").done().out
    assert "── 2" in told
    assert "I do not know." in told
    assert "no answer: there is no number in the text" in told


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), "0123"),
        (("--wrong",), "12"),
        (("--right",), "03"),
        (("--unparsed",), "2"),
        (("--wrong", "--limit", "1"), "1"),
        (("--wrong", "--offset", "1"), "2"),
        (("--right", "--unparsed"), ""),
        (("--errored",), ""),
        (("--id", "3"), "3"),
    ],
)
def test_filters(run: Run, arguments: tuple[str, ...], ids: str) -> None:
    assert _shown(run.path, *arguments) == list(ids)


def test_a_run_by_its_name_and_the_newest(run: Run) -> None:
    assert _shown("said") == _shown() == list("0123")


def test_more_is_announced(run: Run) -> None:
    assert said("inspect", run.path, "--limit", 2).done().out.splitlines()[-1] == "more: --offset 2"
    assert "more:" not in said("inspect", run.path).done().out


def test_a_long_prompt_shows_its_end(here: Path) -> None:
    _replayed("5", shots=15)
    short, whole = (said("inspect", "said", *more).done().out for more in ((), ("--full",)))
    assert "characters before this; --full shows them]" in short
    assert len(whole) > len(short)
    assert "Question: Box 0 holds" in short[-400:]


def test_json_is_the_journals_own_lines(run: Run) -> None:
    told = said("inspect", run.path, "--wrong", "--json").done().out.splitlines()
    kept = run.journal.read_text(encoding="utf-8").splitlines()
    assert told == [line for line in kept if json.loads(line)["scores"]["exact_match"] < 1]


def test_choices_with_their_log_likelihoods(here: Path) -> None:
    evalharness.evaluate("arc_easy", model=Fake(), limit=3, output=Path("runs/arc"))
    told = said("inspect", "arc", "--id", "own-1").done().out
    (head,) = [line for line in told.splitlines() if "a character" in line]
    assert head.split() == ["choice", "nats", "a", "character", "greedy"]
    assert "likeliest" in told
    assert "right: the number 2" in told


def test_samples_that_failed(here: Path) -> None:
    evalharness.evaluate("arc_easy", model=Fake(fail=5), limit=4, output=Path("runs/arc"), max_errors=1.0)
    assert "failed: " in said("inspect", "arc", "--errored").done().out


def test_votes_and_repeats(here: Path) -> None:
    changes = {"elicitation": {"samples": 5}}
    evalharness.evaluate(
        "gsm8k", model=Fake(), limit=1, output=Path("runs/votes"), method="self_consistency", repeats=2, set=changes
    )
    told = said("inspect", "votes").done().out
    assert "repeat 2: exact_match" in told
    assert "votes: " in told
    assert "completion 5 of 5" in told


def test_colour_marks_the_answer_on_a_terminal(run: Run) -> None:
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", "inspect", "said", "--id", "1"],
        env={key: value for key, value in environment(TERM="xterm").items() if key != "NO_COLOR"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
    )
    process.wait(timeout=60)
    os.close(screen)
    told = b""
    while True:
        try:
            told += (piece := os.read(keyboard, 65536))
        except OSError:  # the end of a terminal that nobody holds
            break
        if not piece:
            break
    os.close(keyboard)
    assert b"\x1b[1;7m41\x1b[0m" in told


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (("nowhere",), 64, "no run here"),
        (("said", "--wrong", "--right"), 64, "exclude each other"),
        (("said", "--wrong", "--metric", "f1"), 64, "--metric f1: the run has no such metric; did you mean"),
    ],
)
def test_what_cannot_be_shown(run: Run, arguments: tuple[str, ...], code: int, fragment: str) -> None:
    said("inspect", *arguments).refused(code, fragment.removesuffix("; did you mean"))


def test_no_runs_at_all(here: Path) -> None:
    said("inspect").refused(64, "no runs in runs", "evalharness run --task NAME")


def test_perplexity_knows_no_wrong(here: Path) -> None:
    evalharness.evaluate("lambada_openai", model=Fake(), limit=3, output=Path("runs/texts"))
    assert len(_shown("texts", "--wrong")) + len(_shown("texts", "--right")) == 3
    said("inspect", "texts", "--wrong", "--metric", "perplexity").refused(64, "perplexity knows no right and wrong")


def test_a_damaged_journal(run: Run) -> None:
    run.journal.write_bytes(b"damage\n" + run.journal.read_bytes())
    told = said("inspect", run.path)
    assert (told.code, told.err.count("\n")) == (65, 1)
    assert "line 1 is damaged" in told.err
