"""The page in a browser: it opens at once, filters, turns pages, follows addresses, shows samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_for_tests import BIDI, HOSTILE, calls_answer, calls_target, judged, tool_use, verdict
from report.journals import choice_run, coin_run, long_demonstrations, question, random_choices, text_run
from runs_for_tests import write_run
from viewer.made import line, run_of

from evalharness.report.page import report


@pytest.fixture
def opened(browser_page: Any, tmp_path: Path) -> Any:
    """120 coins."""
    run = coin_run(tmp_path / "coins", 120, demonstrations=long_demonstrations(900))
    return _open(browser_page, tmp_path, run)


def _open(page: Any, folder: Path, *runs: Any, address: str = "") -> Any:
    file = folder / "report.html"
    file.write_bytes(report(runs))
    page.goto(f"{file.as_uri()}{address}")
    page.wait_for_selector("section.samples .list > *")
    return page


def _status(page: Any, text: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator("section.samples [role=status]").first).to_have_text(text)


def test_fifty_samples_are_shown_and_none_is_built_before_it_is_opened(opened: Any) -> None:
    _status(opened, "1 to 50 of 120")
    assert opened.locator(".list > details").count() == 50
    assert opened.locator(".sample").count() == 0


def test_a_sample_shows_its_prompt_and_where_its_answer_was_read(opened: Any) -> None:
    opened.get_by_label("Show").select_option("right")
    opened.locator(".list summary").first.click()
    sample = opened.locator(".list .sample").first
    sample.wait_for()
    assert "Does it still lie heads up?\nA:" in sample.locator("pre").nth(1).text_content()
    assert sample.locator("mark").text_content() in ("yes", "no")
    assert "acc 1" in sample.text_content()


def test_filters_and_pages(opened: Any) -> None:
    opened.get_by_role("button", name="Next").click()
    _status(opened, "51 to 100 of 120")
    opened.get_by_role("button", name="Previous").click()
    _status(opened, "1 to 50 of 120")
    opened.get_by_label("Show").select_option("unparsed")
    opened.wait_for_function(
        "[...document.querySelectorAll('.list summary')].every((e) => /unparsed/.test(e.textContent))"
    )


def test_a_text_is_looked_for_outside_what_all_prompts_share(opened: Any) -> None:
    told, _ = question(77).split(".", maxsplit=1)
    opened.get_by_label("Text").fill(told)
    _status(opened, "1 to 1 of 1")
    assert opened.locator(".list summary b").text_content() == "77"
    opened.get_by_label("Text").fill("We count the turns")
    _status(opened, "no sample fits")


def test_an_address_opens_its_sample(browser_page: Any, tmp_path: Path) -> None:
    ids = [f"a/b c&{place}" for place in range(70)]
    run = write_run(tmp_path / "own run", [float(place != 3) for place in range(70)], ids=ids)
    page = _open(browser_page, tmp_path, run, address="#run-own%20run/sample-a%2Fb%20c%2669")
    page.wait_for_selector("details[open] > .sample")
    assert page.locator("details[open] > summary b").first.text_content() == "a/b c&69"
    page.evaluate("location.hash = '#run-own run/sample-a/b c&3'")
    page.wait_for_function("document.activeElement.textContent.includes('a/b c&3 ')")


def test_an_address_of_no_sample_says_so(browser_page: Any, tmp_path: Path) -> None:
    page = _open(browser_page, tmp_path, write_run(tmp_path / "few", [1.0, 0.0]), address="#run-few/sample-99")
    _status(page, "sample 99 is not in this file")


def test_choices_are_marked(browser_page: Any, tmp_path: Path) -> None:
    page = _open(browser_page, tmp_path, choice_run(tmp_path / "boxes", *random_choices(20)))
    page.locator(".list summary").first.click()
    table = page.locator(".sample table")
    table.wait_for()
    assert table.locator("mark").text_content() == "likeliest"
    assert table.locator(".good").text_content() == "right"


def test_characters_beyond_the_basic_plane_do_not_move_the_mark(browser_page: Any, tmp_path: Path) -> None:
    run = text_run(tmp_path / "coins", ["🪙🪙 So the answer is yes."], ["yes"], ["yes"])
    page = _open(browser_page, tmp_path, run)
    page.locator(".list summary").first.click()
    assert page.locator(".sample mark").text_content() == "yes"


def test_hostile_texts_are_shown_as_texts(browser_page: Any, tmp_path: Path) -> None:
    hostile = '</script><img src="//example.org/x" onerror="alert(1)">'
    run = text_run(tmp_path / "hostile", [hostile], [None], [hostile], ids=[hostile], task=hostile)
    page = _open(browser_page, tmp_path, run)
    page.locator(".list summary").first.click()
    page.wait_for_selector(".sample")
    assert page.locator("img").count() == 0
    assert page.locator(".list summary b").text_content() == hostile


def test_flipped_samples_are_linked(browser_page: Any, tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [1.0, 0.0, 1.0, 0.0])
    new = write_run(tmp_path / "new", [1.0, 1.0, 0.0, 0.0], model="model-b")
    page = _open(browser_page, tmp_path, old, new)
    page.get_by_text("Flipped samples (2)").click()
    page.get_by_role("link", name="open").nth(1).click()
    page.wait_for_selector("#run-new details[open] .sample")
    assert page.locator("#run-new details[open] b").text_content() == "1"


def test_a_subject_is_picked(browser_page: Any, tmp_path: Path) -> None:
    subsets = [f"subject {place % 3}" for place in range(30)]
    page = _open(browser_page, tmp_path, write_run(tmp_path / "three", [1.0] * 30, subsets=subsets))
    page.get_by_label("Subject").select_option("subject 2")
    _status(page, "1 to 10 of 10")


@pytest.fixture
def programs(browser_page: Any, tmp_path: Path) -> Any:
    """Programs of which some time out, one that is hostile, and a call with a wrong argument."""
    labels = ["pass", "fail", "timeout"]
    made = [judged(line(str(place), float(place % 3 == 0)), [verdict(labels[place % 3])]) for place in range(9)]
    hostile = verdict("error", program=f"{BIDI}\n'''{HOSTILE}'''", stdout=HOSTILE, stderr="\x1b[2J", in_box=True)
    made.append(judged(line("hostile", 0.0), [hostile], [tool_use("web", HOSTILE, HOSTILE, query=HOSTILE)]))
    call = line("call", 0.0, target=calls_target({"f": {"x": [2]}}), answer=calls_answer(f={"x": HOSTILE}))
    made.append(judged(call, explanations={"acc": "wrong_value: call 1, argument 'x': it is none of 2"}))
    return _open(browser_page, tmp_path, run_of(tmp_path / "programs", made))


def test_samples_are_narrowed_by_verdict(programs: Any) -> None:
    programs.get_by_role("combobox", name="Verdict").select_option("timeout")
    _status(programs, "1 to 3 of 3")
    assert programs.locator(".list summary .badge").all_inner_texts() == ["timeout"] * 3
    programs.get_by_label("Text").fill("AssertionError")
    _status(programs, "no sample fits")
    programs.get_by_role("combobox", name="Verdict").select_option("")
    _status(programs, "1 to 3 of 3")


def test_a_program_is_shown_in_colours(programs: Any) -> None:
    programs.get_by_role("combobox", name="Verdict").select_option("fail")
    programs.locator(".list summary").first.click()
    shown = programs.locator("details.evidence.fail[open]")
    shown.wait_for()
    assert shown.locator("summary").inner_text() == (
        "fail execution (bwrap, 0.031 s) AssertionError: assert add(2, 3) == 5"
    )
    assert shown.locator("pre.code .keyword").first.inner_text() == "def"
    colours = []
    for scheme in ("light", "dark"):
        programs.emulate_media(color_scheme=scheme)
        colours.append(programs.evaluate("getComputedStyle(document.querySelector('.code .keyword')).color"))
    assert colours[0] != colours[1]


def test_a_hostile_program_is_a_program(programs: Any) -> None:
    programs.get_by_role("combobox", name="Verdict").select_option("error")
    _status(programs, "1 to 1 of 1")
    programs.locator(".list summary").first.click()
    sample = programs.locator(".list .sample")
    sample.wait_for()
    told = sample.inner_text()
    assert told.count(HOSTILE) == 4  # program, output, status and result of the tool
    assert "'user\\u202e \\u2066# only for admins\\u2069 \\u2066':" in told
    assert "\\x1b[2J" in told
    assert sample.locator(".flag", has_text="in box").count() == 1
    assert programs.locator("img").count() == 0
    assert "broken" not in programs.title()


def test_a_wrong_argument_is_marked(programs: Any) -> None:
    programs.get_by_label("Text").fill("call")
    _status(programs, "1 to 1 of 1")
    programs.locator(".list summary").first.click()
    row = programs.locator("table.calls tbody tr")
    row.wait_for()
    assert row.locator("mark code").inner_text() == json.dumps(HOSTILE)
    assert row.locator("td").all_inner_texts()[1:] == ["2", "not accepted"]
    assert "acc: wrong_value: call 1, argument 'x': it is none of 2" in programs.locator(".sample").inner_text()
