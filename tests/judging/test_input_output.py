"""Programs judged by what they make of inputs: what is rendered, how outcomes add up, and the sandbox itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from evalharness.answers.base import build_parser
from evalharness.errors import DataError, EvalHarnessError, ServiceError
from evalharness.judging.base import Bench, build_judges
from evalharness.judging.input_output import InputOutput
from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import LIMITS, Limits, Outcome
from evalharness.sandbox.pool import AsyncSession, Pool
from evalharness.types import Attempt, Reference, Sample, Verdict

OPTIONS: dict[str, Any] = {
    "judge": "input_output",
    "inputs": "{{ given }}",
    "outputs": "{{ right }}",
    "function": "{{ name }}",
    "method_of": "Solution",
}
DOUBLES = {"given": ["2\n", "-1\n", "0"], "right": ["4\n", "-2", ["0"]], "name": None}
CALLS = {"given": [[2], [-1], [[1, 2]]], "right": [4, -2, [1, 2, 1, 2]], "name": "double"}


def judge_of(**changes: Any) -> InputOutput:
    (judge,) = build_judges([{**OPTIONS, **changes}], "own.yaml: judging")
    assert isinstance(judge, InputOutput)
    return judge


def sample_of(row: dict[str, Any]) -> Sample:
    return Sample(id="7", index=7, row=row, content_hash="c")


def bench(row: dict[str, Any], *candidates: str, sandbox: Any = None) -> Bench:
    return Bench(
        task="own",
        sample=sample_of(row),
        reference=Reference(target="x"),
        attempt=Attempt(calls=(), candidates=candidates),
        parser=build_parser("code", "answer"),
        sandbox=sandbox,
    )


def verdicts(judge: InputOutput, row: dict[str, Any], *candidates: str, sandbox: Any = None) -> tuple[Verdict, ...]:
    return asyncio.run(judge.verdicts(bench(row, *candidates, sandbox=sandbox)))


class Boxes:
    """Notes what it is given, and says what it is told to say, in turn."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.given: list[tuple[str, str, float]] = []

    async def run(self, source: str, *, stdin: str = "", limits: Limits = LIMITS) -> Outcome:
        self.given.append((source, stdin, limits.seconds))
        return self.outcomes.pop(0)

    async def test(self, source: str, **_: Any) -> Outcome:
        raise NotImplementedError

    def session(self, *, limits: Limits = LIMITS) -> AsyncSession:
        raise NotImplementedError


def printed(text: str, seconds: float = 1.0, status: Any = "pass") -> Outcome:
    why = None if status == "pass" else f"it is {status}"
    return Outcome(status=status, stdout=text, seconds=seconds, level="l", explanation=why)


def test_every_input_goes_to_a_box_of_its_own_in_order() -> None:
    boxes = Boxes(printed("4"), printed("-2"), printed("0"))
    (verdict,) = verdicts(judge_of(program="import sys\n{{ answer }}"), DOUBLES, "p", sandbox=boxes)
    assert boxes.given == [("import sys\np", text, 4.0) for text in ("2\n", "-1\n", "0")]
    assert verdict == Verdict(
        judge="input_output",
        candidate=0,
        label="pass",
        details={
            "program": "import sys\np",
            "level": "l",
            "in_box": False,
            "seconds": 3.0,
            "stdout": "0",
            "tests": 3,
            "passed": 3,
            "labels": {"pass": 3},
        },
    )


def test_the_first_test_that_does_not_pass_names_the_verdict_and_the_rest_are_run() -> None:
    boxes = Boxes(printed("4"), printed("2"), printed("", status="error"))
    (verdict,) = verdicts(judge_of(), DOUBLES, "p", sandbox=boxes)
    assert (verdict.label, verdict.explanation) == ("fail", "test 2 of 3: it printed '2', and '-2' is right")
    assert (verdict.details["passed"], verdict.details["tests"]) == (1, 3)
    assert verdict.details["labels"] == {"pass": 1, "fail": 1, "error": 1}
    assert verdict.details["stdout"] == "2"


def test_it_may_stop_at_the_first_failure() -> None:
    boxes = Boxes(printed("", status="memory"))
    (verdict,) = verdicts(judge_of(stop_at_failure=True), DOUBLES, "p", sandbox=boxes)
    assert (verdict.label, verdict.explanation) == ("memory", "test 1 of 3: it is memory")
    assert (verdict.details["passed"], verdict.details["tests"]) == (0, 3)


def test_what_cannot_be_compiled_is_not_tried_again() -> None:
    boxes = Boxes(Outcome(status="error", explanation="SyntaxError: invalid syntax", level="l"))
    (verdict,) = verdicts(judge_of(), DOUBLES, "def (", sandbox=boxes)
    assert (verdict.label, verdict.explanation) == ("error", "test 1 of 3: SyntaxError: invalid syntax")


def test_a_program_that_takes_too_long_in_all_passes_no_test() -> None:
    boxes = Boxes(printed("4", 3.0), printed("-2", 3.0), printed("0", 3.0))
    (verdict,) = verdicts(judge_of(seconds_in_all=5), DOUBLES, "p", sandbox=boxes)
    assert (verdict.label, verdict.explanation) == ("timeout", "longer than 5 s for all of its tests together")
    assert (verdict.details["passed"], verdict.details["seconds"], len(boxes.outcomes)) == (0, 6.0, 1)
    (verdict,) = verdicts(judge_of(seconds_in_all=10), DOUBLES, "p", sandbox=Boxes(*[printed("4", 3.0)] * 3))
    assert verdict.label == "fail"


def test_no_answer_and_no_sandbox() -> None:
    (verdict,) = verdicts(judge_of(), DOUBLES, "")
    assert (verdict.label, verdict.explanation, verdict.details) == ("error", "the text is empty", {})
    with pytest.raises(ServiceError, match="this run has no sandbox"):
        verdicts(judge_of(), DOUBLES, "p")
    outcome = Outcome(status="sandbox_error", explanation="no memory")
    with pytest.raises(ServiceError, match="own: the sandbox failed, not the program: no memory"):
        verdicts(judge_of(), DOUBLES, "p", sandbox=Boxes(outcome))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"given": [], "right": []},
            "own.yaml: judging[0].inputs: sample 7: this field must yield a list with something",
        ),
        ({"given": "2", "right": ["4"]}, "own.yaml: judging[0].inputs: sample 7: this field must yield a list"),
        ({"given": ["2"], "right": {}}, "own.yaml: judging[0].outputs: sample 7: this field must yield a list"),
        ({"given": ["2"], "right": ["4", "5"]}, "own.yaml: judging[0]: sample 7 has 1 inputs and 2 outputs; each test"),
        ({"name": "a b"}, "own.yaml: judging[0].function: this field must yield a function's name or none, not 'a b'"),
        ({"name": 3}, "own.yaml: judging[0].function: this field must yield a function's name or none, not 3"),
    ],
)
def test_rows_that_are_no_tests(row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        judge_of().cases(sample_of({**DOUBLES, **row}), "")
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"inputs": "given"}, "own.yaml: judging[0].inputs: this field takes one {{ expression }} whose value"),
        ({"method_of": "a b"}, "own.yaml: judging[0]: method_of: String should match pattern"),
        ({"seconds_in_all": 0}, "own.yaml: judging[0]: seconds_in_all: Input should be greater than 0"),
        ({"output": "{{ right }}"}, "own.yaml: judging[0]: output: unknown key; did you mean 'outputs'?"),
    ],
)
def test_malformed_options(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EvalHarnessError) as error:
        judge_of(**changes)
    assert str(error.value).startswith(sentence)


def test_what_is_shown_and_what_depends_on_the_row() -> None:
    judge = judge_of(program="{{ head }}{{ answer }}")
    assert judge.columns == {"head", "given", "right", "name"}
    assert judge.shown(sample_of({**DOUBLES, "head": "# "}), "x") == {
        "program": "# x",
        "inputs": DOUBLES["given"],
        "outputs": DOUBLES["right"],
        "function": None,
    }


def test_faults_of_right_answers_are_found_without_running_them() -> None:
    assert judge_of().faults(sample_of(DOUBLES), "print(2)") == []
    assert judge_of().faults(sample_of(DOUBLES), "print(") == [
        ("program", "the program of sample 7 is no Python: '(' was never closed (line 1).")
    ]


# --------------------------------------------------------------------------- in the sandbox


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(choose(), workers=2)
    yield pool
    pool.close()


def test_programs_that_read_standard_input(pool: Pool) -> None:
    programs = {
        "print(2 * int(input()))": "pass",
        "import sys\nprint(2 * int(sys.stdin.read()), end='')": "pass",
        "import os\nprint(2 * int(open(0).readline()))\nos._exit(0)": "fail",
        "import sys\nprint(2 * int(sys.stdin.readline()))\nsys.exit()": "pass",
        "if __name__ == '__main__':\n    print(2 * int(input()))": "pass",
        "print(4)": "fail",
        "print(2 * int(input()) / 0)": "error",
        "input()\nwhile True: pass": "timeout",
        "x = bytearray(1 << 34)": "memory",
        "while True: print('x' * 1000)": "output_limit",
        "print(": "error",
        "import no_such_package": "missing_package",
    }
    found = verdicts(judge_of(seconds=0.7), DOUBLES, *programs, sandbox=pool)
    assert dict(zip(programs, (verdict.label for verdict in found), strict=True)) == programs
    assert [verdict.details["passed"] for verdict in found][:6] == [3, 3, 0, 3, 3, 1]
    assert found[0].details["level"] == pool.sandbox.level
    assert str(found[-1].explanation).startswith("test 1 of 3: Python of the boxes has no package 'no_such_package'; ")


def test_functions_that_are_called(pool: Pool) -> None:
    programs = {
        "def double(x):\n    return x + x": "pass",
        "class Solution:\n    def double(self, x):\n        return x * 2": "pass",
        "def double(x):\n    return tuple(x + x) if isinstance(x, list) else 2 * x": "pass",
        "def double(x):\n    return 2 * x if x != -1 else -1": "fail",
        "def twice(x):\n    return 2 * x": "error",
        "class Solution:\n    pass": "error",
        "def double(x):\n    return x.nothing": "error",
        "def double(x):\n    while True: pass": "timeout",
        "class Right:\n    def __eq__(self, other): return True\ndef double(x): return Right()": "error",
        "import no_such_package\ndef double(x):\n    return x + x": "missing_package",
    }
    found = verdicts(judge_of(seconds=0.7), CALLS, *programs, sandbox=pool)
    assert dict(zip(programs, (verdict.label for verdict in found), strict=True)) == programs
    assert found[3].details["passed"] == 2
    assert found[3].explanation == "test 2 of 3: assert same(output, right); the last call returned -1"


def test_values_as_the_published_grader_takes_them(pool: Pool) -> None:
    """An output may be wrapped in a list, tuples are lists, and texts that JSON made of whole keys are made whole."""
    long = int(Decimal("9" * 5000))
    row = {
        "given": [[1], [2], [{"1": "a"}], [3], [long]],
        "right": [[7], [[[1, 2], [3, 4]]], {"2": "a"}, [{"x": 1}], long + 1],
        "name": "f",
    }
    program = """
def f(x):
    if isinstance(x, dict):
        return {key + 1: value for key, value in x.items()}
    return {1: 7, 2: [(1, 2), (3, 4)], 3: {"x": 1}}.get(x, x + 1)
"""
    (verdict,) = verdicts(judge_of(), row, program, sandbox=pool)
    assert (verdict.label, verdict.explanation) == ("pass", None)


def test_a_candidate_sees_no_right_output(pool: Pool) -> None:
    peeping = """
import gc, sys
def double(x):
    seen = [o for o in gc.get_objects() if isinstance(o, dict) and "right" in o]
    return seen[0]["right"] if seen else 0
"""
    (verdict,) = verdicts(judge_of(), CALLS, peeping, sandbox=pool)
    assert (verdict.label, verdict.details["passed"]) == ("fail", 0)
