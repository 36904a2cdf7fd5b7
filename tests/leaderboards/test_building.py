"""From runs to the table: values, averages with errors, ranks, and what is left out and why."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from leaderboards.made_up import QUALITIES, answers, column, definition, make_runs, write_definition
from runs_for_tests import write_run

from evalharness.errors import DataError, NotComparableError
from evalharness.leaderboards.board import Board
from evalharness.leaderboards.building import build
from evalharness.leaderboards.files import texts
from evalharness.leaderboards.options import load_leaderboard
from evalharness.leaderboards.sources import collect
from evalharness.records.scores import score_records, scores_of_run
from evalharness.stats.ranks import ranks


def board(folder: Path, values: dict[str, Any] | None = None) -> Board:
    path, leaderboard = load_leaderboard(str(write_definition(folder, values)))
    return build(path, leaderboard, collect(path, leaderboard, runs=folder / "runs"), folder / "out")


def row(found: Board, name: str) -> Any:
    return next(row for row in found.rows if row.model.name == name)


def test_a_cell_is_the_runs_score(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    cell = row(board(tmp_path), "model-b").cells["Easy"]
    expected = score_records(scores_of_run(write_run(tmp_path / "again", answers(0.7, 0))))["acc"]
    assert cell.raw.value == pytest.approx(expected.value, rel=1e-5)
    assert cell.raw.low == pytest.approx(expected.low, rel=1e-5)
    assert (cell.n, cell.protocol_hash, cell.date) == (200, "0" * 12, "2026-11-01")
    assert cell.link == "../runs/easy-1/samples.jsonl"


def test_the_average_and_its_error(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    found = row(board(tmp_path, definition(normalisation="chance")), "model-b").average
    records = [
        score_records(scores_of_run(write_run(tmp_path / str(seed), answers(quality, seed))))["acc"]
        for seed, quality in ((0, 0.4 + 0.3), (1, 0.4 - 0.2))
    ]
    values = [100 * ((record.value or 0) - 0.25) / 0.75 for record in records]
    error = math.sqrt(sum((100 / 0.75 * (record.standard_error or 0)) ** 2 for record in records)) / 2
    assert found.value == pytest.approx(sum(values) / 2, rel=1e-5)
    assert found.high - found.value == pytest.approx(1.959964 * error, rel=1e-4)


def test_ranks_of_a_column_share_places(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    found = board(tmp_path, definition(order={"by": "Easy"}))
    expected = ranks({name: answers(quality + 0.3, 0) for name, quality in QUALITIES.items()})
    assert {row.model.name: row.rank for row in found.rows} == expected
    assert row(found, "model-a").rank.best == 3
    assert row(found, "model-b").rank.tied == ("model-c",)


def test_ranks_of_the_average_share_places(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    found = board(tmp_path, definition(normalisation="chance"))
    assert [(row.rank.best, row.rank.worst) for row in found.rows if row.rank] == [(1, 2), (1, 2), (3, 3)]


def test_ranks_by_win_rate(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    found = board(tmp_path, definition(average="win_rate"))
    assert found.rows[-1].model.name == "model-a"
    assert found.rows[-1].average == type(found.rows[-1].average)(value=0.0)
    assert found.rows[-1].rank is not None
    assert found.rows[-1].rank.best == 3
    assert any("depends on the set of models" in note for note in found.notes)


def test_worst_first(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    assert board(tmp_path, definition(order={"direction": "worst_first"})).rows[0].model.name == "model-a"


@pytest.mark.parametrize(
    ("changes", "declared", "reason"),
    [
        ({"version": 2}, {}, "the task's versions are 1 and 2"),
        (
            {"protocol": "f" * 64},
            {},
            "hash of the protocol (default and default) is 000000000000 in the column and ffff",
        ),
        ({"contents": ["e" * 64] * 200}, {}, "have another content hash"),
        ({"ids": [f"x{place}" for place in range(200)]}, {}, "its samples are others"),
        ({}, {"n": 400}, "n is 400 in the column and 200 in this run"),
        ({"version": 2}, {"version": 1}, "the task's version is 1 in the column and 2 in this run"),
        ({"protocol": "f" * 64}, {"protocol_hash": "00000000"}, "the protocol's hash is 00000000 in the column"),
    ],
)
def test_what_does_not_fit_is_in_no_rank(changes: Any, declared: Any, reason: str, tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", answers(2, 0), task="easy", model="model-d", **changes)
    values = definition([*QUALITIES, "model-d"], columns=[column(**declared)])
    found = board(tmp_path, values)
    odd = row(found, "model-d")
    assert odd.rank is None
    assert odd.average is None
    assert odd.cells["Easy"].raw.value > 0.9
    assert reason in found.footnotes[odd.cells["Easy"].footnote - 1]


def test_what_does_not_fit_can_be_refused(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", answers(2, 0), task="easy", model="model-d", version=2)
    with pytest.raises(
        NotComparableError, match=r"columns: Easy: .*other of model-d does not fit: the task's versions"
    ):
        board(tmp_path, definition([*QUALITIES, "model-d"], mismatch="refuse"))


def test_a_failed_sample_changes_n(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", [None, *answers(2, 0)[1:]], task="easy", model="model-d")
    found = board(tmp_path, definition([*QUALITIES, "model-d"]))
    assert found.footnotes == (
        "model-d, Easy: in no rank and no average, for n is 200 in the column and 199 in this run.",
    )


def test_a_value_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", [math.nan, *answers(2, 0)[1:]], task="easy", model="model-d")
    found = board(tmp_path, definition([*QUALITIES, "model-d"]))
    assert row(found, "model-d").cells["Easy"].raw is None
    assert "its value is no finite number" in found.footnotes[0]
    assert "NaN" not in texts(found)["leaderboard.json"]


def test_an_average_needs_all_its_parts(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", answers(2, 0), task="easy", model="model-d")
    found = board(tmp_path, definition([*QUALITIES, "model-d"]))
    assert row(found, "model-d").average is None
    assert row(found, "model-d").cells.keys() == {"Easy"}
    assert found.rows[-1].model.name == "model-d"


def test_the_newest_run_that_fits_is_taken(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    later = {"task": "easy", "model": "model-c"}
    write_run(tmp_path / "runs/newer", answers(3, 0), created="2026-11-02T00:00:00+00:00", **later)
    write_run(tmp_path / "runs/newest", answers(-3, 0), created="2026-11-03T00:00:00+00:00", version=2, **later)
    cell = row(board(tmp_path), "model-c").cells["Easy"]
    assert (cell.run, cell.footnote) == ("newer", None)


def test_two_columns_of_one_task_do_not_take_each_others_runs(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    columns = [column(protocol="default"), column(name="Cot", protocol="cot")]
    with pytest.raises(DataError, match="columns: Cot: no model has a run of easy under the protocol cot"):
        board(tmp_path, definition(columns=columns))


def test_perplexities_have_no_common_mean_with_accuracies(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    for number, model in enumerate(QUALITIES):
        values = [2.0 + number, 3.0, 5.0]
        write_run(tmp_path / f"runs/{model}", values, task="text", model=model, higher_is_better=False)
    columns = [column(), column(name="Text", task="text", chance=None)]
    with pytest.raises(DataError, match="higher is better in Easy and lower in Text, which have no common mean"):
        board(tmp_path, definition(columns=columns))


def test_efficiency_sums_over_the_columns(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    models = [{"name": "model-a", "price": {"prompt": 1, "generated": 2}}, "model-b"]
    found = board(tmp_path, definition(models, efficiency=["tokens", "seconds", "memory", "cost"]))
    assert row(found, "model-a").efficiency == {"tokens": 4400, "seconds": 3, "memory": None, "cost": 0.0048}
    assert row(found, "model-b").efficiency["cost"] is None


@settings(max_examples=10)
@given(shuffle=some.randoms(use_true_random=False))
def test_the_order_of_reading_changes_nothing(shuffle: random.Random, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    make_runs(folder / "runs")
    make_runs(folder / "runs/again", {name: quality + 0.1 for name, quality in QUALITIES.items()})
    values = definition(normalisation="chance", groups={"all": ["Easy", "Hard"]})
    path, leaderboard = load_leaderboard(str(write_definition(folder, values)))
    sources = collect(path, leaderboard, runs=folder / "runs")
    made = texts(build(path, leaderboard, sources, folder / "out"))
    models = list(leaderboard.models)
    shuffle.shuffle(models)
    names = list(sources)
    shuffle.shuffle(names)
    mixed = {name: shuffle.sample(sources[name], len(sources[name])) for name in names}
    assert texts(build(path, leaderboard.model_copy(update={"models": tuple(models)}), mixed, folder / "out")) == made


def test_a_run_with_a_failed_sample_is_not_what_others_are_held_to(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", [None, *answers(2, 0)[1:]], task="easy", model="model-d")
    found = board(tmp_path, definition(["model-d", *QUALITIES]))
    assert [row.model.name for row in found.rows if row.rank is None] == ["model-d"]


def test_a_declared_n_says_which_run_others_are_held_to(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    write_run(tmp_path / "runs/other", answers(2, 0, n=100), task="easy", model="model-d")
    found = board(tmp_path, definition(["model-d", *QUALITIES], columns=[column(n=200)]))
    assert [row.model.name for row in found.rows if row.rank is None] == ["model-d"]
    assert found.footnotes == (
        "model-d, Easy: in no rank and no average, for n is 200 in the column and 100 in this run.",
    )


def test_the_trend_of_a_file_is_in_the_table(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    line = {"checkpoint": "step-1", "tasks": {"easy": {"gain": 0.1, "lower": 0.0, "upper": 0.2}}}
    (tmp_path / "trend.jsonl").write_text(json.dumps(line) + "\n")
    found = board(tmp_path, definition(trend={"file": "trend.jsonl"}))
    assert found.trend[0].points[0].value == 0.1
    assert 'class="trend"' in texts(found)["leaderboard.html"]
