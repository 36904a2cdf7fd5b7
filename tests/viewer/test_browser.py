"""The pages in a browser: by mouse, by keyboard, by address, in the dark."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser_page
from evidence_for_tests import BIDI, judged, loop_step, tool_use, verdict
from runs_for_tests import write_run
from viewer.made import line, run_of

from evalharness.viewer.server import Server

__all__ = ["browser_page"]

HOSTILE = "<img src=x onerror=\"document.title='broken in'\"></script><script>document.title='broken in'</script>"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of two runs of 120 samples; the second mends sample 1, breaks sample 0 and has a hostile text."""
    for name, right in (("one", {0}), ("two", {1})):
        made = [
            line(str(place), float(place in right or place % 2), prompt=f"What follows {place}?",
                 said=HOSTILE if place == 5 else f"It is {place + 1 + (name == 'two')}.",
                 flags=["truncated"] if place % 10 == 0 else [])
            for place in range(120)
        ]  # fmt: skip
        if name == "one":
            made[1] = line("1", 0.0, prompt="What follows 1?", said="It is 9.")
        run_of(tmp_path / name, made, model=f"model-{name}")
    with Server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


@pytest.fixture
def page(address: str, browser_page: Any) -> Any:
    """In this order: the browser is closed before the server, or its last requests would fail."""
    return browser_page


def count(page: Any) -> str:
    return str(page.locator("#count").inner_text())


def waits_for_count(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#count')?.textContent.includes(text)", arg=text)


def test_list_page_filter_search_and_back(page: Any, address: str) -> None:
    page.goto(address)
    assert count(page).startswith("2 runs")
    page.get_by_role("button", name="model").click()
    assert page.locator("tbody tr").first.locator("td").nth(1).inner_text() == "model-one"
    page.get_by_role("button", name="model").click()
    assert page.locator("tbody tr").first.locator("td").nth(1).inner_text() == "model-two"
    page.locator("tr", has_text="model-one").get_by_role("link").click()
    waits_for_count(page, "120 samples")
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**page=2*")
    assert page.locator("tbody tr").first.locator("a").inner_text() == "50"
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("truncated").check()
    waits_for_count(page, "12 of 120")
    page.get_by_label("outcome").select_option("right")
    waits_for_count(page, "1 of 120")
    page.go_back()
    waits_for_count(page, "12 of 120")
    assert page.get_by_label("truncated").is_checked()
    page.go_forward()
    waits_for_count(page, "1 of 120")
    page.get_by_role("link", name="Clear").click()
    waits_for_count(page, "120 samples")
    page.get_by_role("searchbox").fill("follows 77")
    page.keyboard.press("Enter")
    waits_for_count(page, "1 of 120")
    page.get_by_role("link", name="77").click()
    assert "What follows 77?" in page.locator("main").inner_text()


def test_everything_by_keyboard(page: Any, address: str) -> None:
    page.goto(f"{address}run?run=two")
    waits_for_count(page, "120 samples")
    page.keyboard.press("/")
    page.keyboard.type("jkf?")  # in a field these are letters
    assert page.get_by_role("searchbox").input_value() == "jkf?"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    page.keyboard.press("f")
    assert page.evaluate("document.activeElement.name") == "outcome"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not page.locator("#filter").is_visible()
    for key in "jjk":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sample?*")
    assert page.locator("h1").inner_text() == "Sample 0"
    page.keyboard.press("j")
    page.wait_for_url("**id=1")
    page.keyboard.press("k")
    page.wait_for_url("**id=0")
    page.keyboard.press("/")
    page.wait_for_url("**#search")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    page.wait_for_url("**/?list=1")


def test_a_deep_link_shows_its_state(page: Any, address: str) -> None:
    page.goto(f"{address}sample?run=one&id=20&flag=truncated&sort=-order")
    assert "10 of 12" in page.locator("main").inner_text()
    page.get_by_role("link", name="Filter").click()
    page.wait_for_url("**#filter")
    assert page.get_by_label("truncated").is_checked()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("order")


def test_two_runs_side_by_side(page: Any, address: str) -> None:
    page.goto(f"{address}run?run=one")
    waits_for_count(page, "120 samples")
    page.get_by_role("button", name="Show what differs").click()
    waits_for_count(page, "1 sample broken")
    page.get_by_role("link", name="fixed 1").click()
    waits_for_count(page, "1 sample fixed")
    page.locator("a.row").click()
    page.wait_for_url("**/diff/sample?*")
    assert page.locator("del").all_inner_texts() == ["9"]
    assert page.locator("ins").all_inner_texts() == ["3"]
    page.keyboard.press("u")
    page.wait_for_url("**change=fixed*")


def test_a_hostile_text_is_a_text(page: Any, address: str) -> None:
    page.goto(f"{address}sample?run=one&id=5")
    assert HOSTILE in page.locator("main").inner_text()
    assert page.title() == "Sample 5 · evalharness"


@pytest.fixture
def programs(tmp_path: Path, address: str) -> str:
    """A run whose samples were executed, beside the two of texts."""
    labels = ["pass", "fail", "timeout"]
    made = [judged(line(str(place)), [verdict(labels[place % 3])]) for place in range(9)]
    hostile = verdict("error", program=f"{BIDI}\n'''{HOSTILE}'''", stdout=HOSTILE, stderr=f"{HOSTILE}\x1b[2J")
    made.append(judged(line("hostile"), [hostile], [tool_use("web", HOSTILE, HOSTILE, query=HOSTILE)]))
    steps = [
        loop_step("I look.", "Search[ferry]", observation="It lands at Lund."),
        loop_step(HOSTILE, HOSTILE, observation=HOSTILE, status="malformed", again="nothing was written"),
        loop_step("So.", "Finish[Lund]"),
    ]
    made.append(judged(line("loop"), tool_uses=[{**tool_use("search", entity="ferry"), "step": 1}], steps=steps))
    run_of(tmp_path / "programs", made, task="programs")
    return address


def test_samples_are_narrowed_by_what_came_of_their_programs(browser_page: Any, programs: str) -> None:
    browser_page.goto(f"{programs}run?run=programs")
    waits_for_count(browser_page, "11 samples")
    browser_page.get_by_role("button", name="Filter").click()
    browser_page.get_by_label("timeout").check()
    waits_for_count(browser_page, "3 of 11")
    browser_page.get_by_label("fail").check()
    waits_for_count(browser_page, "6 of 11")
    browser_page.locator("a.row").first.click()
    browser_page.wait_for_url("**/sample?*")  # with its script: before that no key does anything
    assert browser_page.locator("summary .badge").inner_text() == "fail"
    browser_page.keyboard.press("j")
    browser_page.wait_for_url("**id=2**")
    assert browser_page.locator("details.evidence.timeout[open]").is_visible()


def test_a_hostile_program_is_a_program(browser_page: Any, programs: str) -> None:
    browser_page.goto(f"{programs}sample?run=programs&id=hostile")
    shown = browser_page.locator("main").inner_text()
    assert shown.count(HOSTILE) == 5  # program, output, error output, status and result
    assert HOSTILE.replace('"', '\\"') in shown  # the tool's argument, as JSON
    assert "'user\\u202e \\u2066# only for admins\\u2069 \\u2066':" in shown
    assert "\\x1b[2J" in shown
    assert browser_page.title() == "Sample hostile · evalharness"


def test_a_loop_is_read_step_by_step(browser_page: Any, programs: str) -> None:
    browser_page.goto(f"{programs}sample?run=programs&id=loop")
    shown = browser_page.locator("details.evidence[open]")
    assert [step.split()[0] for step in shown.locator("summary").all_inner_texts()] == ["ok", "malformed", "finished"]
    parts = shown.first.locator("h5, pre").all_inner_texts()
    assert parts == ["Thought", "I look.", "Action", "Search[ferry]", "Observation", "It lands at Lund."]
    assert "asked again: nothing was written" in shown.nth(1).inner_text()
    assert shown.nth(1).inner_text().count(HOSTILE) == 3
    assert shown.nth(2).locator("h5").all_inner_texts() == ["Thought", "Action"]
    assert browser_page.get_by_role("heading", name="Uses of tools").count() == 0
    assert browser_page.title() == "Sample loop · evalharness"


def test_a_program_can_be_read_in_the_light_and_in_the_dark(browser_page: Any, programs: str) -> None:
    """Every colour has the contrast of 4.5 to what is behind it that WCAG 2.2 asks for."""
    for id, least in (("1", 6), ("hostile", 3)):
        browser_page.goto(f"{programs}sample?run=programs&id={id}")
        for scheme in ("light", "dark"):
            browser_page.emulate_media(color_scheme=scheme)
            found = browser_page.evaluate(CONTRASTS)
            assert len(found) >= least
            assert {kind: value for kind, value in found.items() if value < 4.5} == {}


CONTRASTS = r"""() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((c) => c / 255);
        const part = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : colour;
    };
    const found = {};
    for (const element of document.querySelectorAll("pre.code span, .badge, .evidence .faint")) {
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
        found[element.className] = (a + 0.05) / (b + 0.05);
    }
    return found;
}"""


def test_the_dark_follows_the_system_until_it_is_chosen(page: Any, address: str) -> None:

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    page.goto(address)
    assert paper() == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert dark != "rgb(255, 255, 255)"
    page.get_by_role("button", name="Dark or light").click()
    assert paper() == "rgb(255, 255, 255)"
    page.reload()
    assert paper() == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Dark or light").click()
    assert paper() == dark


def test_the_first_page_of_a_long_journal_is_completed_by_itself(page: Any, address: str, tmp_path: Path) -> None:
    run_of(tmp_path / "long", [line(str(place)) for place in range(3000)])
    page.goto(f"{address}run?run=long")
    waits_for_count(page, "3,000 samples")
    assert page.get_by_role("link", name="Next page").is_visible()


def test_every_field_and_button_has_a_name(page: Any, address: str) -> None:
    for path in ("", "run?run=one&outcome=wrong", "sample?run=one&id=3", "diff?run=one&with=two"):
        page.goto(address + path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, a[href]")].filter(
                (each) => !(each.labels?.length || each.textContent.trim() || each.getAttribute("aria-label"))
            ).map((each) => each.outerHTML)"""
        )
        assert nameless == []
        for landmark in ("main", "banner", "navigation"):
            assert page.get_by_role(landmark).count() >= 1
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("h1").count() == 1


@pytest.mark.long
def test_a_run_of_a_hundred_thousand_samples(tmp_path: Path, browser_page: Any) -> None:
    right = [float(place % 3 == 0) for place in range(100_000)]
    write_run(tmp_path / "large", right)
    with Server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        browser_page.goto(server.address)
        browser_page.locator("tr", has_text="made_up").get_by_role("link").click()
        waits_for_count(browser_page, "100,000 samples")
        browser_page.get_by_role("button", name="Filter").click()
        browser_page.get_by_label("outcome").select_option("right")
        waits_for_count(browser_page, f"{int(sum(right)):,} of 100,000")
        browser_page.locator("tbody tr").nth(1).get_by_role("link").first.click()
        assert "Is 3 even?" in browser_page.locator("main").inner_text()
        browser_page.goto("about:blank")
        server.shutdown()
        thread.join()
