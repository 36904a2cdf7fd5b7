"""`inspect` shows programs, outcomes, calls and tools, and lets no text of a journal speak to the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import environment, said
from evidence_for_tests import BIDI, PROGRAM, TERMINAL, calls_answer, calls_target, judged, loop_step, tool_use, verdict
from viewer.made import line, run_of

from evalharness.records.folder import Run

EVERYTHING = TERMINAL + BIDI


@pytest.fixture
def run(tmp_path: Path) -> Run:
    right = calls_target({"forecast": {"city": ["Lisbon"], "days": [3], "unit": ["", "C"]}})
    call = line("call", 0.0, target=right, answer=calls_answer(forecast={"city": "Porto", "colour": 1}))
    why = {"acc": 'wrong_value: call 1, argument \'city\': "Porto" is none of "Lisbon"'}
    made = [
        judged(line("pass", answer=PROGRAM), [verdict("pass")]),
        judged(line("late", 0.0), [verdict("timeout", in_box=True, stdout="so far"), verdict("memory", candidate=1)]),
        judged(
            line("tools"), tool_uses=[tool_use(), tool_use("calculator", "no expression", "invalid", expression="3 +")]
        ),
        judged(call, explanations=why),
        judged(line("loop"), steps=[loop_step(observation="18"), loop_step("So.\x1b", "Finish[18]")]),
        line("plain", 0.0),
    ]
    return run_of(tmp_path / "run", made)


def told(run: Run, *arguments: object) -> str:
    return said("inspect", run.path, *arguments).done().out


def ids(run: Run, *arguments: object) -> list[str]:
    return [text.split()[1] for text in told(run, *arguments).splitlines() if text.startswith("── ")]


def test_a_verdict_with_its_program(run: Run) -> None:
    assert f"pass  execution  (bwrap, 0.031 s)\nprogram\n{PROGRAM}" in told(run, "--id", "pass")
    assert "answer: 'def add(first, second):' and 3 more lines" in told(run, "--id", "pass")


def test_a_loop_step_by_step(run: Run) -> None:
    assert (
        "ok  step 1 of 2\nthought\nI add.\naction\nCalculator[6 * 3]\nobservation\n18\n"
        "finished  step 2 of 2\nthought\nSo.\\x1b\naction\nFinish[18]\n"
    ) in told(run, "--id", "loop")


def test_what_kept_a_program_from_passing(run: Run) -> None:
    shown = told(run, "--id", "late")
    assert "timeout  execution, candidate 1  in box  (bwrap, 0.031 s)  it ran longer than 3 s\nprogram\n" in shown
    assert "\noutput\nso far\n" in shown
    assert "\nmemory  execution, candidate 2  (bwrap, 0.031 s)  it wanted more than 1 GiB\n" in shown


def test_uses_of_tools(run: Run) -> None:
    shown = told(run, "--id", "tools")
    assert "ok  python, use 1 of 2\nprogram\nprint(6 * 3)\nresult\n18\n" in shown
    assert 'invalid  calculator, use 2 of 2\narguments\n{\n "expression": "3 +"\n}\nresult\nno expression\n' in shown


def test_calls_with_what_is_wrong_of_them(run: Run) -> None:
    shown = told(run, "--id", "call")
    assert (
        "calls\n  forecast\n"
        '    city="Porto"  not accepted  expected: "Lisbon"\n'
        "    days  missing  expected: 3\n"
        '    unit  expected: "C" or nothing\n'
        "    colour=1  not expected\n"
        "acc: wrong_value: call 1, argument 'city': "
    ) in shown
    assert 'answer: forecast(city="Porto", colour=1)\n' in shown
    assert 'right: forecast(city="Lisbon", days=3, unit="C" or nothing)\n' in shown


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--outcome", "timeout"), ["late"]),
        (("--outcome", "memory"), ["late"]),
        (("--outcome", "pass", "--outcome", "timeout"), ["pass", "late"]),
        (("--outcome", "timeout", "--wrong"), ["late"]),
        (("--outcome", "timeout", "--right"), []),
        (("--wrong",), ["late", "call", "plain"]),
    ],
)
def test_samples_by_their_verdicts(run: Run, arguments: tuple[str, ...], found: list[str]) -> None:
    assert ids(run, *arguments) == found


def test_a_verdict_that_none_has(run: Run) -> None:
    said("inspect", run.path, "--outcome", "tmeout").refused(64, "--outcome tmeout: no verdict of", "'timeout'?")


def test_a_long_program_loses_its_middle_unless_all_is_asked_for(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [judged(line("a"), [verdict(program="x = 1\n" * 170_000)])])
    assert "1,017,000 characters are left out here" in told(run)
    assert len(told(run)) < 5_000
    assert len(told(run, "--full")) > 1_000_000


@pytest.fixture
def hostile(tmp_path: Path) -> Run:
    """Every text of the sample tells a terminal to clear itself."""
    judgement = verdict(EVERYTHING, program=EVERYTHING, level=EVERYTHING, stdout=EVERYTHING, more=EVERYTHING)
    judgement |= {"judge": EVERYTHING, "explanation": EVERYTHING}
    use = tool_use(EVERYTHING, EVERYTHING, EVERYTHING, **{EVERYTHING: EVERYTHING})
    target = calls_target({EVERYTHING: {EVERYTHING: [EVERYTHING]}})
    answer = calls_answer(**{EVERYTHING: {EVERYTHING: 3}})
    made = line(f"a{EVERYTHING}", 0.0, prompt=EVERYTHING, said=EVERYTHING, target=target, answer=answer, span=(1, 3))
    made["choices"], made["log_likelihoods"], made["greedy"] = [EVERYTHING, "b"], [-1.0, -2.0], [True, False]
    failed = {**line("b", None), "error": EVERYTHING}
    return run_of(tmp_path / "run", [judged(made, [judgement], [use], {EVERYTHING: EVERYTHING}), failed])


def test_no_text_speaks_to_a_terminal(hostile: Run) -> None:
    shown = told(hostile)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert "\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\r" in shown


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_on_a_terminal_only_our_own_colours_are_obeyed(hostile: Run, arguments: tuple[str, ...]) -> None:
    screen = on_a_terminal(hostile, *arguments)
    left = re.sub(r"\x1b\[[\d;]*m", "", screen.replace("\r\n", "\n"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", left)
    assert "31m" in left
    if arguments:
        assert [json.loads(each)["id"] for each in left.splitlines()] == [f"a{EVERYTHING}", "b"]


def test_a_program_has_colours_on_a_terminal(run: Run) -> None:
    screen = on_a_terminal(run, "--id", "pass")
    assert "\x1b[35mdef\x1b[0m \x1b[34madd\x1b[0m" in screen
    assert "\x1b[1;32mpass\x1b[0m" in screen
    assert "\x1b[" not in told(run, "--id", "pass")


def on_a_terminal(run: Run, *arguments: str) -> str:
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", "inspect", str(run.path), *arguments],
        env={key: value for key, value in environment(TERM="xterm").items() if key != "NO_COLOR"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
    )
    os.close(screen)
    shown = b""
    while True:
        try:
            shown += (piece := os.read(keyboard, 65536))
        except OSError:  # the end of a terminal that nobody holds
            break
        if not piece:
            break
    os.close(keyboard)
    process.wait(timeout=60)
    return shown.decode()
