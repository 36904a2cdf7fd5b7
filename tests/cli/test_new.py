"""`new task` writes files that validate and run, from flags and from typed answers."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import environment, said
from e2e.rows import write_rows

ROWS = [
    {
        "question": f"What is {n} plus {n}?",
        "options": [str(2 * n), str(2 * n + 1)][:: 1 if n % 2 else -1],
        "label": 0 if n % 2 else 1,
        "letter": "A" if n % 2 else "B",
        "number": "0" if n % 2 else "1",
        "answer": str(2 * n),
        "one": str(2 * n),
        "two": "none",
        "text": f"Twice {n} is {2 * n}.",
    }
    for n in range(1, 31)
]
FLAGS: dict[str, list[str]] = {
    "choice": ["--question", "question", "--choices", "options", "--gold", "label"],
    "generate": ["--question", "question", "--answer", "answer"],
    "continuation": ["--question", "Twice {{ question }} is", "--answer", "answer"],
    "document": ["--text", "text"],
}


@pytest.fixture(autouse=True)
def _rows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(here / "rows.jsonl", ROWS)
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115


@pytest.mark.parametrize("kind", FLAGS)
def test_a_written_task_validates_and_runs(kind: str, here: Path, fake: None) -> None:
    told = said("new", "task", "mine", "--kind", kind, "--file", "rows.jsonl", *FLAGS[kind]).done()
    assert told.out.splitlines()[0] == "wrote mine.yaml, and task.schema.json for editors"
    assert "next: evalharness tasks show mine.yaml" in told.out
    assert (here / "mine.yaml").read_text().startswith("# yaml-language-server: $schema=./task.schema.json\n")
    assert said("tasks", "validate", "mine.yaml").done().out.endswith("0 faults, 0 declared defects, 0 notes\n")
    said("tasks", "show", "mine.yaml").done()
    said("run", "--task", "mine.yaml", "--model", "fake:", "--limit", "3", "--quiet").done()


@pytest.mark.parametrize(
    ("choices", "gold", "texts", "position"),
    [
        ("options", "label", "{{ options }}", "{{ label }}"),
        ("options", "letter", "{{ options }}", "{{ 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.index(letter) }}"),
        ("options", "number", "{{ options }}", "{{ number | int }}"),
        ("options", "{{ options | position_of(answer) }}", "{{ options }}", "{{ options | position_of(answer) }}"),
        ("one,two", "{{ 0 }}", ["{{ one }}", "{{ two }}"], "{{ 0 }}"),
        ("{{ options | list }}", "label", "{{ options | list }}", "{{ label }}"),
    ],
)
def test_how_the_right_choice_is_said(choices: str, gold: str, texts: Any, position: str, here: Path) -> None:
    flags = ["--question", "question", "--choices", choices, "--gold", gold]
    told = said("new", "task", "mine", "--kind", "choice", "--file", "rows.jsonl", *flags)
    section = yaml.safe_load((here / "mine.yaml").read_text())["choices"]
    assert section == {"texts": texts, "gold": position}
    # The right one of "one,two" always stands first, which is told.
    assert told.code == (65 if choices == "one,two" else 0)
    assert ("[gold_position]" in told.out) == (choices == "one,two")


def test_a_data_set_of_the_hub_is_taken_on_trust(here: Path) -> None:
    flags = ["--hub", "org/sums", "--config", "easy", "--split", "validation"]
    told = said("new", "task", "mine", "--kind", "generate", *flags, *FLAGS["generate"]).done()
    data = yaml.safe_load((here / "mine.yaml").read_text())["data"]
    assert data == {"hub": "org/sums", "config": "easy", "split": "validation"}
    assert "note: mine.yaml:" in told.out
    assert "[no_rows]" in told.out


def test_rows_in_another_folder(here: Path) -> None:
    (here / "own").mkdir()
    said("new", "task", "mine", "--kind", "generate", "--file", "rows.jsonl", "--out", "own", *FLAGS["generate"]).done()
    assert yaml.safe_load((here / "own/mine.yaml").read_text())["data"]["file"] == str((here / "rows.jsonl").resolve())


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["my-task"], "small letters, digits and underscores"),
        (["taken"], "taken.yaml exists already"),
        (["mine"], "--kind is missing, and there is no terminal"),
        (["mine", "--kind", "essay"], "choose one of choice, generate"),
        (["mine", "--kind", "generate"], "--file is missing"),
        (["mine", "--kind", "generate", "--file", "none.jsonl"], "--file none.jsonl: no such file"),
        (["mine", "--kind", "generate", "--file", "rows.jsonl"], "--question is missing"),
        (
            ["mine", "--kind", "generate", "--file", "rows.jsonl", "--question", "queston", "--answer", "answer"],
            "no such column; did you mean 'question'?",
        ),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], fragment: str, here: Path) -> None:
    (here / "taken.yaml").write_text("name: taken")
    said("new", "task", *arguments).refused(64, fragment)
    assert not (here / "mine.yaml").exists()


def test_questions_on_a_terminal(here: Path) -> None:
    """Each answer is one line; an empty one takes what is proposed from the columns."""
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", "new", "task", "mine"],
        cwd=here,
        env=environment(),
        stdin=screen,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(keyboard, b"choice\nrows.jsonl\n\n\n\n")
    out, err = process.communicate(timeout=60)
    os.close(keyboard)
    os.close(screen)
    assert process.returncode == 0, err
    assert "columns: question, options, label" in err
    assert "wrote mine.yaml" in out
    values = yaml.safe_load((here / "mine.yaml").read_text())
    assert values["prompt"]["question"] == "{{ question }}"
    assert values["choices"] == {"texts": "{{ options }}", "gold": "{{ label }}"}
