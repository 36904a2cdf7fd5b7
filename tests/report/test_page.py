"""The page of a report: what it says, that it needs nothing else, that no text of a journal breaks out of it."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.journals import choice_run, coin_run, long_demonstrations, random_choices, rewritten, text_run
from runs_for_tests import write_run

from evalharness.errors import DataError, UsageError
from evalharness.pages.controls import visible
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord
from evalharness.report.page import report


def _html(*runs: Run, **options: Any) -> str:
    return report(runs, **options).decode()


def _packed(html: str) -> list[dict[str, Any]]:
    """What a browser finds in the script elements, decompressed."""
    found = []
    for content in re.findall(r'<script type="application/json">(.*?)</script>', html):
        held = json.loads(content)
        found.append(
            {
                "index": _inflated(held["index"]),
                "shared": _inflated(held["shared"]),
                "samples": [sample for stream in held["streams"] for sample in _inflated(stream)],
            }
        )
    return found


def _inflated(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in {"meta", "link", "br", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _tags(html: str) -> list[str]:
    parser = _Tags()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.seen


@pytest.fixture
def coins(tmp_path: Path) -> Run:
    return coin_run(tmp_path / "coins", 60, demonstrations=long_demonstrations(600))


@pytest.fixture
def boxes(tmp_path: Path) -> Run:
    subsets = [("north", "south")[place % 2] for place in range(80)]
    return choice_run(tmp_path / "boxes", *random_choices(80), subsets=subsets, groups={"all": ["north", "south"]})


def test_facts_scores_and_cost_are_told(coins: Run) -> None:
    html = _html(coins)
    for told in ("made_up", "model-a", "float32", "exact scores, fast texts", "0" * 12, "60 of 60", "torch 2.13.0"):
        assert told in html
    score = coins.results.scores["acc"]  # type: ignore[union-attr]
    for value in (score.value, score.low, score.high):
        assert f"{value:.4g}" in html
    assert "Prompt tokens" in html


def test_what_the_user_changed_is_told(tmp_path: Path) -> None:
    changes = {"shots": 3, "set": {"decode": {"temperature": 0.7}}}
    assert "shots=3, decode.temperature=0.7" in _html(write_run(tmp_path / "changed", [1.0], options=changes))


def test_the_html_is_well_formed(coins: Run, boxes: Run) -> None:
    assert "svg" in _tags(_html(coins, boxes))


def test_why_nothing_was_read_is_counted(coins: Run) -> None:
    unparsed = sum("unparsed" in line["flags"] for line in coins.lines())
    assert f'no coin is named in the text</th><td class="number" data-value="{unparsed}">' in _html(coins)


def test_calibration_is_told_where_there_are_log_likelihoods(coins: Run, boxes: Run) -> None:
    assert "Expected calibration error" in _html(boxes)
    assert "Expected calibration error" not in _html(coins)


def test_positions_are_told_where_there_are_choices(coins: Run, boxes: Run) -> None:
    assert "A is right" in _html(boxes)
    assert "A is right" not in _html(coins)


def test_samples_that_matter_come_first(coins: Run) -> None:
    kinds = [
        "first" if "unparsed" in entry.get("flags", ()) else entry["outcome"]
        for entry in _packed(_html(coins))[0]["index"]
    ]
    assert kinds == sorted(kinds, key=["first", "wrong", "right"].index)


def test_without_right_and_wrong_the_worst_come_first(tmp_path: Path) -> None:
    run = write_run(tmp_path / "texts", {"perplexity": [12.0, 31.0, 19.0]}, higher_is_better=False)
    assert [entry["score"] for entry in _packed(_html(run))[0]["index"]] == [31.0, 19.0, 12.0]


def test_prompts_of_a_subject_share_their_beginning(coins: Run) -> None:
    held = _packed(_html(coins))[0]
    prompts = {line["id"]: line["repeats"][0]["calls"][0]["prompt"] for line in coins.lines()}
    assert len(held["shared"][""]) > 500
    for sample in held["samples"]:
        assert held["shared"][""] + sample["repeats"][0]["prompt"] == prompts[sample["id"]]


def test_two_thousand_samples_unless_all_are_wanted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "many", [1.0] * 2100 + [0.0])
    held = _packed(_html(run))[0]
    assert len(held["samples"]) == 2000
    assert held["index"][0]["outcome"] == "wrong"
    assert len(_packed(_html(run, full=True))[0]["samples"]) == 2101


def test_a_long_text_loses_its_middle_unless_all_is_wanted(tmp_path: Path) -> None:
    text = "yes. " + "x" * 50_000 + " So the answer is no"
    run = text_run(tmp_path / "long", [text] * 2, ["no"] * 2, ["no"] * 2)
    output = _packed(_html(run))[0]["samples"][0]["repeats"][0]["outputs"][0]
    assert len(output["text"]) < 20_200
    assert output["text"][slice(*output["span"])] == "no"
    whole = _packed(_html(run, full=True))[0]["samples"][0]["repeats"][0]["outputs"][0]
    assert whole["text"] == text


def test_1319_long_prompts_are_below_three_megabytes(tmp_path: Path) -> None:
    run = coin_run(tmp_path / "big", 1319, demonstrations=long_demonstrations(3700), words=120)
    assert run.journal.stat().st_size > 6_000_000
    assert len(report([run])) < 3_000_000


def test_prompts_that_share_nothing_are_below_three_megabytes(tmp_path: Path) -> None:
    """Compression alone must do it where every sample draws its own demonstrations from a pool."""
    run = coin_run(tmp_path / "big", 1319, words=120)
    pool = long_demonstrations(40_000).split("\n\n")

    def change(place: int, line: dict[str, Any]) -> None:
        call = line["repeats"][0]["calls"][0]
        call["prompt"] = "\n\n".join(pool[(place * 7 + each) % len(pool)] for each in range(25)) + call["prompt"]

    assert len(report([rewritten(run, change)])) < 3_000_000


def test_it_names_no_other_place(coins: Run, boxes: Run) -> None:
    html = re.sub(r'<script type="application/json">.*?</script>', "", _html(coins, boxes))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html.replace("// ", ""))


HOSTILE = '</script></pre><img src=x onerror="alert(1)">&amp;\u2028\ud800'


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    options = {"task": HOSTILE, "model": HOSTILE, "subsets": [HOSTILE, "b"], "ids": [HOSTILE, "b"]}
    run = text_run(tmp_path / "hostile", [HOSTILE, "no"], [None, "no"], [HOSTILE, "no"], **options)

    def change(place: int, line: dict[str, Any]) -> None:
        line["repeats"][0]["calls"][0]["prompt"] = HOSTILE
        line["repeats"][0]["why"] = line["error"] = HOSTILE

    html = _html(rewritten(run, change))
    assert "img" not in _tags(html)
    assert html.count("</script>") == 4  # three scripts, one run's samples
    assert _packed(html)[0]["samples"][0]["repeats"][0]["prompt"] == visible(HOSTILE)


def test_scores_that_are_not_numbers_are_said_to_be_none(tmp_path: Path) -> None:
    run = choice_run(tmp_path / "broken", [[math.nan, -1.0], [-1.0, -2.0], [-2.0, -1.0]], [0, 0, 0])

    def change(place: int, line: dict[str, Any]) -> None:
        if place == 0:
            line["scores"] = {"acc": math.nan}

    rewritten(run, change)
    results = run.results
    assert results is not None
    score = results.scores["acc"].model_copy(update={"value": math.nan, "low": None, "high": None})
    run.write(results.model_copy(update={"scores": {"acc": score}}))
    html = _html(run)
    assert "not a number" in html
    assert not re.search(r'="[^"]*\bnan\b', html, re.IGNORECASE)
    assert _packed(html)[0]["index"][0] == {"id": "0", "outcome": "wrong", "score": "NaN", "target": "box 0"}


def test_half_the_samples_failed(tmp_path: Path) -> None:
    html = _html(write_run(tmp_path / "half", [1.0, None, 0.0, None]))
    assert "2 of 4 samples failed; no score counts them." in html
    assert [entry["outcome"] for entry in _packed(html)[0]["index"]] == ["failed", "failed", "wrong", "right"]


def test_every_sample_failed(tmp_path: Path) -> None:
    html = _html(write_run(tmp_path / "all", [None, None]))
    assert "2 of 2 samples failed" in html


def test_a_killed_run_is_told_from_its_journal(tmp_path: Path) -> None:
    subsets = ["north", "south", "south"]
    run = write_run(tmp_path / "killed", [1.0, 0.0, 1.0], asked=9, state="running", subsets=subsets)
    (run.path / "results.json").unlink()
    html = _html(run)
    assert "This run is not finished (running): 3 of 9 samples are here." in html
    assert "0.6667" in html
    assert "Scores by subject" in html


def test_a_killed_run_of_perplexities_says_that_it_cannot_be_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "killed", {"perplexity": [12.0, 31.0]}, state="running")
    (run.path / "results.json").unlink()
    with pytest.raises(
        DataError, match=r"no results\.json, without which its metrics cannot be told \(it is running\)"
    ):
        _html(run)


def test_results_of_an_earlier_session_are_not_believed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "resumed", [1.0, 0.0, 0.0, 0.0], asked=9, state="running")
    old = write_run(tmp_path / "earlier", [1.0, 1.0]).results
    run.write(ResultsRecord.model_validate(old.model_dump()))  # type: ignore[union-attr]
    html = _html(run)
    assert "computed from the journal" in html
    assert 'data-value="0.25"' in html


def test_a_torn_line_is_left_out_and_told(coins: Run) -> None:
    with coins.journal.open("ab") as file:
        file.write(b'{"task":"made_up","id":"torn"')
    html = _html(coins)
    assert "torn and was left out" in html
    assert len(_packed(html)[0]["samples"]) == 60


def test_a_run_without_samples(tmp_path: Path) -> None:
    run = write_run(tmp_path / "none", [1.0], state="interrupted")
    run.journal.write_bytes(b"")
    with pytest.raises(DataError, match=r"no sample is in its journal \(the run is interrupted\)"):
        _html(run)


def test_a_metric_that_is_not_there(coins: Run) -> None:
    with pytest.raises(UsageError, match=r"--metric ac: .* no such metric; did you mean 'acc'\?"):
        _html(coins, metric="ac")


def test_two_runs_of_a_task_are_compared(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [1.0, 0.0, 1.0, 0.0])
    new = write_run(tmp_path / "new", [1.0, 1.0, 0.0, 0.0], model="model-b")
    html = _html(old, new)
    assert "1 fixed, 1 broken" in html
    assert '<a href="#run-new/sample-1">' in html
    for held in _packed(html):
        assert {entry["id"]: entry.get("flags") for entry in held["index"][:2]} == {"1": ["fixed"], "2": ["broken"]}


def test_runs_that_do_not_compare_say_why(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [1.0, 0.0])
    new = write_run(tmp_path / "new", [1.0, 1.0], protocol="f" * 64)
    assert "No comparison: " in _html(old, new)


def test_runs_of_different_tasks_are_only_put_together(coins: Run, tmp_path: Path) -> None:
    html = _html(coins, write_run(tmp_path / "other", [1.0], task="other"))
    assert "Report of 2 runs" in html
    assert "Difference" not in html


def test_one_run_twice_has_two_addresses(coins: Run) -> None:
    html = _html(coins, coins)
    assert 'id="run-coins"' in html
    assert 'id="run-coins-2"' in html
