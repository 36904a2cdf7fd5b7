"""The page in a browser: sorting, filters, both scales; nothing is loaded and nothing complains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import browser_page
from leaderboards.made_up import QUALITIES, answers, column, definition, make_runs, write_definition
from runs_for_tests import write_run

from evalharness.leaderboards.building import build
from evalharness.leaderboards.files import texts, write
from evalharness.leaderboards.options import load_leaderboard
from evalharness.leaderboards.sources import collect

__all__ = ["browser_page"]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page whose last column, without chance, has no normalised scores."""
    folder = tmp_path_factory.mktemp("page")
    make_runs(folder / "runs")
    write_run(folder / "runs/other", answers(2, 0), task="easy", model=HOSTILE, version=2)
    for number, model in enumerate(QUALITIES):
        write_run(folder / f"runs/{model}", [float(number), 2.0], task="free", model=model)
    models: list[Any] = [
        {"name": "model-a", "family": "old", "size": "135M", "type": "base"},
        {"name": "model-b", "family": "new", "size": "7B", "type": "base"},
        {"name": "model-c", "family": "new", "size": "135M", "type": "fine-tuned"},
        {"name": HOSTILE},
    ]
    columns = [
        column(),
        column(name="Hard", task="hard"),
        column(name="Free", task="free", chance=None, averaged=False),
    ]
    values = definition(models, columns=columns, normalisation="chance", trend={"family": "new"})
    path, leaderboard = load_leaderboard(str(write_definition(folder, values)))
    out = folder / "out"
    write(texts(build(path, leaderboard, collect(path, leaderboard, runs=folder / "runs"), out)), out)
    return Path(out / "leaderboard.html").as_uri()


def names(page: Any) -> list[str]:
    """Of the rows that are seen, from the top."""
    rows = page.locator("table.board tbody tr:visible th")
    return [text.splitlines()[0] for text in rows.all_inner_texts()]


def test_a_click_sorts_and_what_does_not_count_stays_last(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    assert names(browser_page)[-2:] == ["model-a", HOSTILE]
    browser_page.get_by_role("button", name="Easy").click()
    assert names(browser_page)[0] == "model-a"
    assert names(browser_page)[-1] == HOSTILE
    browser_page.get_by_role("button", name="Easy").press("Enter")
    assert names(browser_page)[-2:] == ["model-a", HOSTILE]
    assert browser_page.locator("table.board th[aria-sort=descending]").count() == 1


def test_filters_leave_what_fits(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    browser_page.get_by_label("Family").select_option("new")
    assert sorted(names(browser_page)) == ["model-b", "model-c"]
    browser_page.get_by_label("Size").select_option("up to 1B")
    assert names(browser_page) == ["model-c"]
    browser_page.get_by_label("fine-tuned").uncheck()
    assert names(browser_page) == []
    assert browser_page.get_by_role("status").inner_text() == "0 of 4 models"


def test_both_scales_are_shown(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    cells = browser_page.locator("table.board tbody tr").last.locator("td[data-raw]")
    assert cells.first.locator(".normalised").is_visible()
    assert not cells.first.locator(".raw").is_visible()
    browser_page.get_by_label("raw").check()
    assert cells.first.locator(".raw").is_visible()
    assert cells.first.get_attribute("data-value") == ""
    first = browser_page.locator("table.board tbody tr").first.locator("td[data-raw]").first
    assert first.get_attribute("data-value") == first.get_attribute("data-raw") != ""


def test_a_column_without_chance_is_the_same_on_both_scales(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    cell = browser_page.locator("table.board tbody tr").first.locator("td[data-raw]").nth(2)
    before = cell.inner_text()
    browser_page.get_by_label("raw").check()
    assert cell.inner_text() == before != ""


def test_the_facts_of_a_cell_are_shown_on_demand(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    link = browser_page.locator("table.board").get_by_role("link", name="samples").first
    assert not link.is_visible()
    browser_page.get_by_label("n, protocol, date").check()
    assert link.is_visible()


def test_footnotes_pairs_and_the_trend_are_there(browser_page: Any, address: str) -> None:
    browser_page.goto(address)
    browser_page.get_by_role("link", name="note 1").first.click()
    assert browser_page.url.endswith("#note-1")
    assert "versions are 1 and 2" in browser_page.locator("#note-1").inner_text()
    browser_page.get_by_text("The pairs").first.click()
    assert browser_page.get_by_role("region", name="Pairs of Easy").is_visible()
    assert browser_page.locator("svg.trend").count() == 3
