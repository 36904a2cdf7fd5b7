"""The example of a plugin, installed from outside as its user would, and the example of a task of one's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import CLONE, Said, environment

EXAMPLES = CLONE / "examples"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the plugin into, from a copy outside of this repository."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(EXAMPLES / "plugin", source)
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", target]
    subprocess.run([*pip, source], check=True, capture_output=True)
    return target


def said(folder: Path, installed: Path | None, *arguments: str) -> Said:
    ended = subprocess.run(
        [sys.executable, "-m", "evalharness", *arguments],
        cwd=folder,
        env=environment((installed,) if installed else ()),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def test_its_task_method_parser_metrics_and_backend_make_a_run(installed: Path, tmp_path: Path) -> None:
    told = said(tmp_path, installed, "run", "--task", "roman_numerals", "--model", "roman:5", "--json", "-q").done()
    (run,) = json.loads(told.out)
    # Every multiple of five is wrong, by one.
    rows = [json.loads(line) for line in (EXAMPLES / "plugin/evalharness_roman/data/numbers.jsonl").open()]
    right = sum(row["number"] % 5 != 0 for row in rows) / len(rows)
    assert 0 < right < 1
    assert run["scores"]["exact_match"]["value"] == pytest.approx(right)
    assert run["scores"]["within 1"]["value"] == 1.0
    assert run["usage"]["requests"] == 2 * len(rows)
    assert run["model"] == "rule of Rome (wrong every 5)"
    line = json.loads(next((tmp_path / run["path"] / "samples.jsonl").open()))
    assert line["answer"] == "1"


def test_the_other_commands_know_it(installed: Path, tmp_path: Path) -> None:
    assert "roman_numerals" in said(tmp_path, installed, "tasks").done().out
    assert (
        "How is 1 written in Roman numerals?" in said(tmp_path, installed, "tasks", "show", "roman_numerals").done().out
    )
    assert "0 faults" in said(tmp_path, installed, "tasks", "validate", "roman_numerals").done().out
    said(tmp_path, installed, "run", "--task", "roman_numerals", "--model", "roman:", "-q").done()
    assert "⟦I⟧" in said(tmp_path, installed, "inspect", "--limit", "1").done().out


def test_its_errors_are_sentences(installed: Path, tmp_path: Path) -> None:
    told = said(tmp_path, installed, "run", "--task", "roman_numerals", "--model", "roman:often", "-q")
    told.refused(64, "--model roman:often: give a number")
    told = said(tmp_path, installed, "run", "--task", "arc_easy", "--model", "roman:", "-q", "--data-dir", ".")
    assert told.code in (64, 69)


def test_without_it_nothing_of_it_is_known(tmp_path: Path) -> None:
    said(tmp_path, None, "run", "--task", "roman_numerals", "-q").refused(64, "unknown task 'roman_numerals'")


def test_a_task_of_ones_own_with_a_parser_of_its_own(tmp_path: Path) -> None:
    folder = str(EXAMPLES / "own_task")
    rows = [json.loads(line) for line in (EXAMPLES / "own_task/capitals.jsonl").open()]
    lines = [{"index": n, "completions": [f" the city of {row['capital']} in the north"]} for n, row in enumerate(rows)]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ("run", "--task", "capitals", "--include", folder, "--model", "replay:said.jsonl", "-q")
    told = said(tmp_path, None, *command, "--trust-code").done()
    assert "exact_match  1 [" in told.out
    said(tmp_path, None, *command).refused(65, "unknown parser 'capital_letters'")
    assert (
        "0 faults" in said(tmp_path, None, "tasks", "validate", folder, "--include", folder, "--trust-code").done().out
    )
