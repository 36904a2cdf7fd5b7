"""Suites on the command line: what runs here, and the table in the published layout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from e2e.command import environment, said
from runs_for_tests import write_run

LAYOUT = {
    "suite": "laid_out",
    "description": "Mine.",
    "layout": {
        "One": [
            {"label": "ARC", "task": "arc_easy", "shots": 2, "metric": "acc"},
            {"label": "Quiz", "task": "jeopardy", "note": "of a show"},
        ],
        "Two": [{"label": "House", "empty": "its games are nowhere"}],
    },
}


def _lines(text: str) -> list[str]:
    """Without what aligns the columns."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.fixture
def own(here: Path) -> Path:
    folder = here / "own"
    folder.mkdir()
    (folder / "laid_out.yaml").write_text(yaml.safe_dump(LAYOUT, sort_keys=False))
    return folder


def test_show_tells_what_runs_here(own: Path) -> None:
    result = said("tasks", "show", "laid-out", "--include", "own").done()
    assert _lines(result.out) == [
        "laid_out",
        "Mine.",
        "One",
        "ARC default acc runs here shots=2",
        "Quiz default needs data: extra/jeopardy.jsonl of a show",
        "Two",
        "House not defined: its games are nowhere",
        "1 runs here, 1 needs data, 1 not defined",
    ]
    rows = json.loads(said("tasks", "show", "own/laid_out.yaml", "--json").done().out)
    assert [row["state"] for row in rows] == ["runs here", "needs data", "not defined"]


@pytest.mark.parametrize("name", ["survey-table-16", "open_llm", "base_model", "chat_model", "safety", "symbolic"])
def test_every_row_of_the_shipped_suites_can_be_loaded(name: str, here: Path) -> None:
    rows = json.loads(said("tasks", "show", name, "--json").done().out)
    assert all(row["why"] for row in rows if row["state"] != "runs here")


def test_a_metric_that_a_task_does_not_have_is_a_sentence(own: Path, here: Path) -> None:
    layout = {"One": [{"label": "ARC", "task": "arc_easy", "metric": "accc"}]}
    (own / "laid_out.yaml").write_text(yaml.safe_dump({**LAYOUT, "layout": layout}))
    shown = said("tasks", "show", "laid_out", "--include", "own")
    shown.refused(65, "arc_easy has no metric 'accc' under default; did you mean 'acc'?")


def test_show_imports_nothing_heavy(here: Path) -> None:
    heavy = ("torch", "datasets", "pandas", "pyarrow", "transformers", "tokenizers")
    script = (
        "import sys\nfrom evalharness.cli.main import main\n"
        "sys.argv = ['evalharness', 'tasks', 'show', 'survey_table_16']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {heavy} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "heavy: []"


def test_the_table_of_runs_that_are_there(own: Path, here: Path) -> None:
    write_run(here / "runs" / "a", {"acc": [1.0, 0.0, 1.0]}, task="arc_easy", options={"shots": 2})
    write_run(here / "runs" / "b", {"acc": [1.0]}, task="arc_easy")
    result = said("runs", "--suite", "laid_out", "--include", "own").done()
    assert _lines(result.out) == [
        "laid_out · model-a",
        "column protocol metric score n note",
        "One",
        "ARC default acc ↑ 0.6667 [0.2077, 0.9385] (95 % Wilson) 3 of 3 shots=2",
        "Quiz default empty: needs data: extra/jeopardy.jsonl; of a show",
        "Two",
        "House empty: its games are nowhere",
        "average of 3 missing: Quiz (default), House (none)",
    ]
    table = json.loads(said("runs", "--suite", "laid_out", "--include", "own", "--json").done().out)
    cells = [row["cells"][0] for row in table["layout"]]
    assert [(cell["score"] or {}).get("n") for cell in cells] == [3, None, None]
    assert [cell["empty"] for cell in cells] == [None, "needs data: extra/jeopardy.jsonl", "its games are nowhere"]
    assert cells[0]["run"].endswith("runs/a")


def test_no_layout_and_no_runs_are_sentences(own: Path, here: Path) -> None:
    said("runs", "--suite", "quick").refused(64, "this is no suite with a layout")
    assert "no runs of laid_out in runs" in said("runs", "--suite", "laid_out", "--include", "own").done().out


ASKED = ("run", "--task", "laid_out", "--include", "own", "--model", "fake:", "--limit", "2", "--shots", "0", "--quiet")


def test_a_run_ends_with_the_table(own: Path, fake: None) -> None:
    lines = _lines(said(*ASKED).done().out)
    at = lines.index("laid_out · fake")
    assert "shots=0" in lines[at - 1]
    # The user's --shots is none of the layout's, so its column has no run.
    assert lines[at + 2 : at + 5] == [
        "One",
        "ARC default empty: no run; shots=2",
        "Quiz default empty: the rows of jeopardy.jsonl are missing; of a show",
    ]


def test_a_run_ends_with_the_table_in_json(own: Path, fake: None) -> None:
    told = json.loads(said(*ASKED[:-3], "--quiet", "--json").done().out)
    assert [each.get("task", each.get("suite")) for each in told] == ["arc_easy", "laid_out"]
    (cell,) = told[-1]["layout"][0]["cells"]
    assert (cell["model"], cell["metric"], cell["score"]["n"]) == ("fake", "acc", 2)


def test_a_dry_run_leaves_out_what_is_missing(own: Path, fake: None) -> None:
    result = said(*ASKED[:-3], "--dry-run").done()
    assert "arc_easy · default · fake" in result.out
    assert "left out: jeopardy: the rows of jeopardy.jsonl are missing" in result.err
