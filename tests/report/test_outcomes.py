"""What a report says of verdicts, tools and wrong calls, and how it holds the programs."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from evidence_for_tests import (
    BIDI,
    HOSTILE,
    PROGRAM,
    TERMINAL,
    calls_answer,
    calls_target,
    judged,
    loop_step,
    tool_use,
    verdict,
)
from viewer.made import line, run_of

from evalharness.report.evidence import HIGHLIGHTED
from evalharness.report.page import report


def page(folder: Path, made: list[dict[str, Any]], **options: Any) -> str:
    return report([run_of(folder / "run", made)], **options).decode()


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def samples(html: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The list's entries and the samples, as a browser finds them."""
    (content,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    held = json.loads(content)
    index, *streams = (
        json.loads(zlib.decompress(base64.b64decode(text))) for text in [held["index"], *held["streams"]]
    )
    return index, [sample for stream in streams for sample in stream]


def test_verdicts_are_counted_and_drawn(tmp_path: Path) -> None:
    made = [judged(line("a"), [verdict("pass"), verdict("timeout", candidate=1), verdict("pass", candidate=2)])]
    made += [judged(line("b"), [verdict("fail")]), line("c")]
    html = page(tmp_path, made)
    said = words(html)
    assert "Verdicts: execution 4 verdicts of execution on 2 samples." in said
    assert "label verdicts share pass 2 50.0% timeout 1 25.0% fail 1 25.0%" in said
    assert re.findall(r'class="label (\S+)"', html) == ["pass", "timeout", "fail"]
    assert 'aria-label="4 verdicts of execution on 2 samples"' in html
    assert re.findall(r'<option value="(\w+)">\w+ \(\d\)', html.split('data-control="verdict"')[1])[:3] == [
        "pass", "timeout", "fail",
    ]  # fmt: skip


def test_every_judge_and_every_subject_has_its_bar(tmp_path: Path) -> None:
    preferred = {"judge": "preference", "candidate": 0, "label": "tie"}
    made = [
        judged(line("a", subset="easy"), [verdict("pass"), preferred]),
        judged(line("b", subset="hard"), [verdict("fail")]),
        line("c", subset="other"),
    ]
    html = page(tmp_path, made)
    assert "Verdicts: preference 1 verdict of preference on 1 sample." in words(html)
    assert "subject pass fail easy Verdicts of easy pass: 1 of 1 (100.0%) 1 0 hard Verdicts of hard" in words(html)
    assert "other 0 0" in words(html)
    assert len(re.findall(r'width="180" height="12"', html)) == 3


def test_uses_of_tools_and_kinds_of_wrong_calls_are_counted(tmp_path: Path) -> None:
    wrong = {"acc": "wrong_value: call 1, argument 'x': 1 is none of 2"}
    made = [
        judged(line("a"), tool_uses=[tool_use(), tool_use(), tool_use(status="timeout")]),
        judged(line("b", 0.0), explanations=wrong),
        judged(line("c", 0.0), explanations=wrong),
        judged(line("d", 0.0), explanations={"acc": "no call: the text is empty"}),
    ]
    said = words(page(tmp_path, made))
    assert "Uses of tools tool and status times python: ok 2 python: timeout 1" in said
    assert "Kinds of wrong calls kind times wrong_value 2 no call 1" in said


def test_a_run_without_judges_and_tools_has_no_such_section(tmp_path: Path) -> None:
    html = page(tmp_path, [line("a")])
    assert "<h3>Verdicts" not in html
    assert 'data-control="verdict"' not in html
    index, held = samples(html)
    assert "labels" not in index[0]
    assert not {"verdicts", "tool_uses", "function_calls", "explanations"} & set(held[0]["repeats"][0])


def test_programs_are_held_in_coloured_pieces(tmp_path: Path) -> None:
    made = judged(line("a"), [verdict("fail", in_box=True, stdout="so far")], [tool_use(result="18\x1b")])
    index, held = samples(page(tmp_path, [made]))
    assert index[0]["labels"] == [["fail", "fail"]]
    (told,) = held[0]["repeats"][0]["verdicts"]
    assert (told["title"], told["label"], told["class"], told["in_box"]) == ("execution", "fail", "fail", True)
    assert (told["facts"], told["explanation"]) == ("bwrap, 0.031 s", "AssertionError: assert add(2, 3) == 5")
    program, output = told["blocks"]
    assert program["text"][:4] == ["def", "keyword", " ", ""]
    assert "".join(program["text"][::2]) == PROGRAM
    assert output == {"title": "Output", "text": ["so far", ""]}
    (use,) = held[0]["repeats"][0]["tool_uses"]
    assert use["blocks"][1] == {"title": "Result", "text": ["18", "", "\\x1b", "unseen"]}


def test_a_loop_is_held_step_by_step(tmp_path: Path) -> None:
    steps = [
        loop_step("I add.", "Python[1]", observation="1\x1b", again="nothing was written"),
        loop_step(action="Finish[1]"),
    ]
    made = judged(line("a"), tool_uses=[{**tool_use(code="1"), "step": 1}], steps=steps)
    _, held = samples(page(tmp_path, [made]))
    repeat = held[0]["repeats"][0]
    assert "tool_uses" not in repeat
    used, last = repeat["steps"]
    assert (used["title"], used["label"], used["class"]) == ("step 1 of 2", "ok", "pass")
    assert used["explanation"] == "asked again: nothing was written"
    assert used["blocks"][2] == {"title": "Observation", "text": ["1", "", "\\x1b", "unseen"]}
    assert [block["title"] for block in last["blocks"]] == ["Thought", "Action"]


def test_calls_are_held_beside_the_expected_ones(tmp_path: Path) -> None:
    made = line("a", 0.0, target=calls_target({"f": {"x": [2]}}), answer=calls_answer(f={"x": 1}))
    why = {"acc": "wrong_value: call 1, argument 'x': 1 is none of 2"}
    index, held = samples(page(tmp_path, [judged(made, explanations=why)]))
    assert (index[0]["answer"], index[0]["target"]) == ("f(x=1)", "f(x=2)")
    repeat = held[0]["repeats"][0]
    argument = {"name": "x", "given": "1", "accepted": "2", "fault": "not accepted"}
    assert repeat["function_calls"]["calls"] == [{"name": "f", "arguments": [argument], "fault": ""}]
    assert repeat["explanations"] == why


def test_a_long_program_is_cut_unless_all_is_asked_for(tmp_path: Path) -> None:
    program = "x = 1\n" * 170_000
    made = [judged(line("a"), [verdict(program=program)])]
    text = samples(page(tmp_path, made))[1][0]["repeats"][0]["verdicts"][0]["blocks"][0]["text"]
    assert "1,000,000 characters are left out here" in "".join(text[::2])
    assert len("".join(text[::2])) < 21_000
    text = samples(page(tmp_path, made, full=True))[1][0]["repeats"][0]["verdicts"][0]["blocks"][0]["text"]
    assert text == [program, ""]


def test_the_samples_that_come_first_are_coloured_where_not_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert HIGHLIGHTED > 1_000_000
    monkeypatch.setattr("evalharness.report.evidence.HIGHLIGHTED", len(PROGRAM))
    made = [judged(line("right", 1.0), [verdict("pass")]), judged(line("wrong", 0.0), [verdict("fail")])]
    index, held = samples(page(tmp_path, made))
    coloured = [len(each["repeats"][0]["verdicts"][0]["blocks"][0]["text"]) > 2 for each in held]
    assert [entry["id"] for entry in index] == ["wrong", "right"]
    assert coloured == [True, False]


def test_nothing_breaks_out(tmp_path: Path) -> None:
    everything = HOSTILE + TERMINAL + BIDI
    judgement = verdict(everything, program=everything, level=everything, stdout=everything, more=everything)
    judgement |= {"judge": everything, "explanation": everything}
    use = tool_use(everything, everything, everything, **{everything: everything})
    target = calls_target({everything: {everything: [everything]}})
    made = line("a", 0.0, said=everything, target=target, answer=calls_answer(**{everything: {everything: 3}}))
    made = judged(made, [judgement], [use], {"acc": f"{everything}: {everything}"})
    html = page(tmp_path, [made, line("b", subset="x"), line("c", subset="y")])
    assert "<img" not in html
    assert html.count("</script>") == 4
    repeat = next(each for each in samples(html)[1] if each["id"] == "a")["repeats"][0]
    assert not {"\x1b", "\x9b", "\u202e", "\u2066"} & set(json.dumps(repeat, ensure_ascii=False))
