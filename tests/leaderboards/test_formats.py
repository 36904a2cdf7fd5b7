"""Markdown, CSV, LaTeX and JSON: hostile names arrive as they are, and every format says the same."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from leaderboards.made_up import QUALITIES, answers, column, definition, make_runs, write_definition
from runs_for_tests import write_run

from evalharness.leaderboards.building import build
from evalharness.leaderboards.files import texts
from evalharness.leaderboards.latex_format import escape_latex
from evalharness.leaderboards.markdown_format import escape_markdown
from evalharness.leaderboards.options import load_leaderboard
from evalharness.leaderboards.shown import p_value, rank, rounded
from evalharness.leaderboards.sources import collect
from evalharness.stats.ranks import Rank

HOSTILE = 'a|b, "c"\n</script><img src=x onerror=alert(1)> 50% \\$_{x}^~&#'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    make_runs(folder / "runs")
    write_run(folder / "runs/other", answers(0.5, 0), task="easy", model=HOSTILE, version=2)
    columns = [column(name=f"Easy {HOSTILE}"), column(name="Hard", task="hard")]
    models = [*QUALITIES, {"name": HOSTILE, "family": HOSTILE, "notes": HOSTILE}]
    values = definition(models, columns=columns, title=HOSTILE, description=HOSTILE, groups={HOSTILE: ["Hard"]})
    path, leaderboard = load_leaderboard(str(write_definition(folder, values)))
    return texts(build(path, leaderboard, collect(path, leaderboard, runs=folder / "runs"), folder / "out"))


def test_a_line_of_csv_is_a_model(made: dict[str, str]) -> None:
    head, *lines = csv.reader(io.StringIO(made["leaderboard.csv"]))
    assert all(len(line) == len(head) for line in lines)
    assert [line[1] for line in lines][-1] == HOSTILE
    assert head.count(f"Easy {HOSTILE}") == 1


def test_a_row_of_markdown_is_a_model(made: dict[str, str]) -> None:
    rows = [line for line in made["leaderboard.md"].splitlines() if line.startswith("| ")]
    main = rows[: 1 + len(QUALITIES) + 1]
    bars = {row.replace("\\|", "").count("|") for row in main}
    assert len(bars) == 1
    assert re.search(r"[^\\(]<(?!/?sup>)", made["leaderboard.md"]) is None


def test_a_row_of_latex_is_a_model(made: dict[str, str]) -> None:
    text = made["leaderboard.tex"]
    rows = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(rows) == len(QUALITIES) + 1
    cells = {row.replace("\\&", "").count("&") for row in rows}
    assert cells == {5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% a_b & #1 $x {y}", r"50\% a\_b \& \#1 \$x \{y\}"),
        ("a\\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex_by_hand(text: str, expected: str) -> None:
    assert escape_latex(text) == expected


def test_markdown_by_hand() -> None:
    assert escape_markdown("a_b *c* [d](e) <f>\ng") == r"a\_b \*c\* \[d\](e) \<f\> g"


def test_the_page_holds_no_foreign_element(made: dict[str, str]) -> None:
    assert "<img" not in made["leaderboard.html"]
    assert made["leaderboard.html"].count("</script>") == made["leaderboard.html"].count("<script>")


def test_json_holds_every_cell(made: dict[str, str]) -> None:
    facts = json.loads(made["leaderboard.json"])
    cell = facts["models"][HOSTILE]["cells"][f"Easy {HOSTILE}"]
    assert cell["footnote"] == 1
    assert "versions are 1 and 2" in facts["footnotes"][0]
    assert facts["models"]["model-a"]["rank"] == "3"
    assert facts["models"]["model-b"]["not_told_apart_from"] == ["model-c"]


def test_no_place_of_this_machine_and_no_time_is_in_a_table(made: dict[str, str], tmp_path: Path) -> None:
    for text in made.values():
        assert str(tmp_path.parents[1]) not in text


def test_numbers_are_rounded_in_one_place() -> None:
    assert rounded(0.1234567891) == 0.123457
    assert rounded(float("nan")) is None
    assert rounded(float("inf")) is None
    assert p_value(0.00001) == "< .0001"
    assert p_value(0.25) == ".2500"


def test_a_rank_is_a_place_or_a_range() -> None:
    assert rank(Rank(best=2, worst=4, tied=("b",))) == "2-4"
    assert rank(Rank(best=1, worst=1, tied=())) == "1"
    assert rank(None) == ""
