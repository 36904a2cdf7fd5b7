"""The page of a training says what its files say, whatever happened to it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from report.trainings import evaluated, falling, logged, spiked, write_training

from evalharness.errors import DataError, UsageError
from evalharness.pages.line_chart import Point
from evalharness.report.training import training_report
from evalharness.report.training_figures import MOST_ROWS, picked
from evalharness.report.training_log import is_training, read_training, smoothed


def page_of(*folders: Path) -> str:
    return training_report(folders).decode()


def figure(page: str, title: str) -> str:
    (found,) = [part for part in page.split("<figure>") if part.startswith(f"<figcaption>{title}<")]
    return found.partition("</figure>")[0]


def rows_of(figure: str) -> list[list[str]]:
    """The table below a picture, without its heading."""
    body = figure.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in body.splitlines() if line]


def test_smoothing_is_the_exponential_mean() -> None:
    few = [Point(step, float(step)) for step in range(49)]
    assert smoothed(few) == []
    points = [Point(step, 0.0 if step else 1.0) for step in range(200)]  # half is forgotten every two points
    found = [point.y for point in smoothed(points)]
    decay = math.sqrt(0.5)
    assert found[0] == 1.0
    assert found[4] == pytest.approx(0.25 / sum(decay**i for i in range(5)))
    points[50] = Point(50, math.nan)
    assert all(math.isfinite(point.y) for point in smoothed(points))


def test_the_numbers_of_a_page(tmp_path: Path) -> None:
    log = [
        logged(10, 3.0),
        {"step": 10, "validation_loss": 3.25},
        logged(20, 2.5),
        logged(30, 2.0),
        {"step": 30, "validation_loss": 2.25},
    ]
    page = page_of(write_training(tmp_path / "small", log, [evaluated(10, value=0.45), evaluated(30, value=0.75)]))
    assert "<h1>Training small</h1>" in page
    assert "<dt>Steps</dt><dd>30 of 500</dd>" in page
    assert "<dt>Tokens</dt><dd>122,880</dd>" in page
    assert "<dt>Training loss</dt><dd>2</dd>" in page
    assert "<dt>Validation loss</dt><dd>2.25; least 2.25 at step 30</dd>" in page
    assert "<dt>coin_flip, exact_match</dt><dd>0.75 (0.65 to 0.85) at step 30, n 100</dd>" in page
    assert "<dt>Tokens a second</dt><dd>8,192 (median)</dd>" in page
    assert rows_of(figure(page, "Loss")) == [["10", "3", "3.25"], ["20", "2.5", "–"], ["30", "2", "2.25"]]
    scores = figure(page, "coin_flip, exact_match")
    assert rows_of(scores) == [["10", "0.45 (0.35 to 0.55)"], ["30", "0.75 (0.65 to 0.85)"]]
    assert "chance 0.5" in scores
    assert "exact_match: 0.45 at step 10, 0.75 at 30; least 0.45 at 10, greatest 0.75 at 30." in scores
    assert rows_of(figure(page, "Learning rate, of its peak"))[0] == ["10", "0.1"]
    assert "Share of the machine" not in page  # nothing is known of it


def test_steps_that_were_taken_back_are_no_part_of_the_curve(tmp_path: Path) -> None:
    training = read_training(spiked(tmp_path / "spiked"))
    losses = training.points("loss")
    assert [point.x for point in losses] == list(range(5, 501, 5))
    assert max(point.y for point in losses) < 5
    lost = training.lost_points("loss")
    assert [point.x for point in lost] == [*range(205, 251, 5), 250]
    assert lost[-2].y == 9.0
    assert math.isnan(lost[-1].y)
    page = page_of(training.folder)
    assert re.findall(r'class="mark".*?<title>(\w+), (\d+)</title>', figure(page, "Loss")) == [
        ("rewind", "200"), ("spike", "251"), ("gate", "500"),
    ]  # fmt: skip
    happened = rows_of(page[page.index("What happened") :])
    assert happened == [
        ["251", "spike", "since: 249; reason: the loss is 9"],
        ["200", "rewind", "from: 251; left_out_sequences: 16"],
        ["500", "gate", "The gate at step 500: coin_flip: exact_match is 0.1, at most 0.2, below the floor of 0.4."],
    ]


def test_a_training_that_went_back_to_its_beginning(tmp_path: Path) -> None:
    log = [*falling(5, 50), {"step": 0, "event": "rewind", "from": 51}, *falling(5, 20)]
    training = read_training(write_training(tmp_path / "again", log))
    assert [point.x for point in training.points("loss")] == [5, 10, 15, 20]
    assert [len(stretch) for stretch in training.lost] == [10]


def test_a_step_that_was_computed_anew_counts_once(tmp_path: Path) -> None:
    training = read_training(write_training(tmp_path / "resumed", [logged(5, 3.0), logged(10, 2.0), logged(10, 2.5)]))
    assert training.points("loss") == [Point(5, 3.0), Point(10, 2.5)]


def test_several_trainings_beside_one_another(tmp_path: Path) -> None:
    one = write_training(tmp_path / "one", falling(5, 500), [evaluated(500, value=0.6)], {"batch": {"sequences": 16}})
    two = write_training(tmp_path / "two", falling(5, 400, floor=1.5), [], {"batch": {"sequences": 32}})
    page = page_of(one, two)
    assert "<h1>2 trainings</h1>" in page
    assert "Options by which they differ" in page
    assert rows_of(page[page.index("Options by which they differ") :]) == [["batch.sequences", "16", "32"]]
    overview = rows_of(page)
    assert [row[:3] for row in overview] == [["one", "500 of 500", "2,048,000"], ["two", "400 of 500", "1,638,400"]]
    assert "0.6" in overview[0]
    losses = figure(page, "Training loss")
    assert [name for name in ("one, smoothed", "two, smoothed") if name in losses] == ["one, smoothed", "two, smoothed"]
    assert rows_of(figure(page, "Validation loss"))[-1][0] == "500"
    assert figure(page, "Training loss by tokens")


def test_trainings_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [write_training(tmp_path / place / "run", falling(5, 20)) for place in ("a", "b")]
    page = page_of(*folders)
    assert f"<h2>{folders[0]}</h2>" in page
    assert "Their options are the same." in page


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    page = page_of(
        write_training(tmp_path / "lost", [logged(1, 2.0), logged(2, math.nan), logged(3, math.inf), logged(4, 1.0)])
    )
    assert [row[1] for row in rows_of(figure(page, "Loss"))] == ["2", "not a number", "infinite", "1"]


def test_an_evaluation_that_failed_is_told(tmp_path: Path) -> None:
    row = {"step": 10, "tasks": {"coin_flip": {"error": "its process ended with signal SIGKILL"}}, "seconds": 1.0}
    page = page_of(write_training(tmp_path / "failed", [logged(10, 2.0)], [row]))
    assert ["10", "evaluation failed", "coin_flip: its process ended with signal SIGKILL"] in rows_of(
        page[page.index("What happened") :]
    )


def test_prompts_that_were_cut_are_told(tmp_path: Path) -> None:
    rows = [evaluated(10), evaluated(20)]
    rows[1]["tasks"]["coin_flip"]["counts"] = {"cut": 1200}
    page = page_of(write_training(tmp_path / "short", [logged(10, 2.0)], rows))
    assert page.count("coin_flip: 1,200 prompts of step 20 were longer than the model&#x27;s context") == 1


def test_names_are_escaped(tmp_path: Path) -> None:
    hostile = "</title><img src=x>"
    rows = [evaluated(10, task=hostile, stop=hostile)]
    log = [logged(10, 2.0), {"step": 10, "event": hostile, "reason": hostile}]
    page = page_of(write_training(tmp_path / "hostile", log, rows, {"note": hostile}))
    assert "<img" not in page


def test_a_log_that_is_being_written(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "running", falling(5, 100))
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 105, "lo')
    assert read_training(folder).points("loss")[-1].x == 100


def test_a_training_that_has_only_begun(tmp_path: Path) -> None:
    assert "No step is logged yet." in page_of(write_training(tmp_path / "new", []))


@pytest.mark.parametrize("line", ['{"step": 7', "[]", '{"loss": 1.0}', "{'step': 7}"])
def test_a_damaged_line(tmp_path: Path, line: str) -> None:
    folder = write_training(tmp_path / "damaged", falling(5, 20))
    path = folder / "log.jsonl"
    path.write_text(f"{path.read_text()}{line}\n{json.dumps(logged(25, 1.0))}\n")
    with pytest.raises(DataError, match=r"log\.jsonl: line 5 is damaged"):
        read_training(folder)


def test_a_damaged_run_json(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "damaged", falling(5, 20))
    (folder / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json: not valid JSON"):
        read_training(folder)


def test_no_training(tmp_path: Path) -> None:
    assert not is_training(tmp_path)
    with pytest.raises(UsageError, match="no training here"):
        read_training(tmp_path)


@pytest.mark.parametrize("count", [1, MOST_ROWS, MOST_ROWS + 1, 100_000])
def test_rows_are_picked_evenly(count: int) -> None:
    every = [float(place) for place in range(count)]
    few = picked(every)
    assert len(few) == len(set(few)) == min(count, MOST_ROWS)
    assert (few[0], few[-1]) == (every[0], every[-1])


def test_a_page_of_a_long_training_is_small(tmp_path: Path) -> None:
    log = [logged(step, 2.0 + math.sin(step), peak_share=0.4) for step in range(1, 5_001)]
    assert len(training_report([write_training(tmp_path / "long", log)])) < 250_000


# --------------------------------------------------------------------------- in a browser


def opened(page: Any, folder: Path, *trainings: Path) -> Any:
    file = folder / "report.html"
    file.write_bytes(training_report(trainings))
    page.goto(file.as_uri())
    return page


def test_pictures_are_named_their_numbers_unfold_and_a_narrow_window_holds_them(
    browser_page: Any, tmp_path: Path
) -> None:
    page = opened(browser_page, tmp_path, spiked(tmp_path / "spiked"))
    pictures = page.get_by_role("img")
    assert pictures.count() == 5
    names = [pictures.nth(place).get_attribute("aria-label") for place in range(5)]
    assert names[0].startswith("Loss. training, smoothed: ")
    figures = page.locator("figure")
    assert not figures.first.locator("table").is_visible()
    figures.first.get_by_text("The numbers").click()
    assert figures.first.locator("table").is_visible()
    assert figures.first.locator("tbody tr").count() == MOST_ROWS
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    boxes = [figures.nth(place).bounding_box() for place in (0, 1)]
    assert boxes[0]["x"] == boxes[1]["x"]


def test_curves_are_seen_in_light_and_dark(browser_page: Any, tmp_path: Path) -> None:
    page = opened(browser_page, tmp_path, spiked(tmp_path / "one"), spiked(tmp_path / "two"))
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for look in (0, 1):
            style = f"getComputedStyle(document.querySelector('polyline.curve.look-{look}'))"
            colours.append((page.evaluate(f"{style}.stroke"), page.evaluate(f"{style}.strokeDasharray")))
    assert len({colour for colour, _ in colours}) == 4
    assert colours[0][1] != colours[1][1]
