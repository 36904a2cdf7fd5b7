"""Programs judged by running them: what is rendered, what becomes of an outcome, and the sandbox itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from evalharness.answers.base import build_parser
from evalharness.errors import DataError, EvalHarnessError, ServiceError
from evalharness.judging.base import Bench, build_judges
from evalharness.judging.execution import Execution
from evalharness.judging.programs import TAIL
from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import LIMITS, Limits, Outcome
from evalharness.sandbox.pool import AsyncSession, Pool
from evalharness.types import Attempt, Reference, Sample, Verdict

ROW = {
    "prompt": "def double(x):\n",
    "code": "    return 2 * x\n",
    "tests": ["assert double(2) == 4", "assert double(0) == 0"],
    "helpers": "two = 2",
    "names": ["double"],
}
SAMPLE = Sample(id="7", index=7, row=ROW, content_hash="c")
OPTIONS: dict[str, Any] = {
    "judge": "execution",
    "program": "{{ prompt }}{{ answer }}",
    "setup": "{{ helpers }}",
    "tests": "{{ tests | join('\\n') }}",
    "calls": "{{ names }}",
    "reference": "{{ prompt }}{{ code }}",
}


def judge_of(**changes: Any) -> Execution:
    (judge,) = build_judges([{k: v for k, v in {**OPTIONS, **changes}.items() if v is not None}], "own.yaml: judging")
    assert isinstance(judge, Execution)
    return judge


class Boxes:
    """Notes what it is given, and says what it is told to say."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.given: list[dict[str, Any]] = []

    async def run(self, source: str, *, stdin: str = "", limits: Limits = LIMITS) -> Outcome:
        raise NotImplementedError

    def session(self, *, limits: Limits = LIMITS) -> AsyncSession:
        raise NotImplementedError

    async def test(
        self,
        source: str,
        *,
        tests: str,
        calls: Sequence[str],
        setup: str = "",
        in_box: bool = False,
        limits: Limits = LIMITS,
        reference: str | None = None,
    ) -> Outcome:
        self.given.append({
            "source": source, "tests": tests, "calls": calls, "setup": setup, "in_box": in_box,
            "seconds": limits.seconds, "memory": limits.memory, "disk": limits.disk, "reference": reference,
        })  # fmt: skip
        return self.outcome


def bench(*candidates: str, sandbox: Any = None, form: str = "completion") -> Bench:
    return Bench(
        task="own",
        sample=SAMPLE,
        reference=Reference(target="x"),
        attempt=Attempt(calls=(), candidates=candidates),
        parser=build_parser({"parser": "code", "form": form}, "answer"),
        sandbox=sandbox,
    )


def verdicts(judge: Execution, *candidates: str, sandbox: Any = None, form: str = "completion") -> tuple[Verdict, ...]:
    return asyncio.run(judge.verdicts(bench(*candidates, sandbox=sandbox, form=form)))


def test_the_sandbox_is_given_what_the_templates_say() -> None:
    boxes = Boxes(Outcome(status="pass", level="l"))
    verdicts(judge_of(seconds=9), "    return x + x", sandbox=boxes)
    assert boxes.given == [
        {
            "source": "def double(x):\n    return x + x",
            "tests": "assert double(2) == 4\nassert double(0) == 0",
            "calls": ("double",),
            "setup": "two = 2",
            "in_box": False,
            "seconds": 9.0,
            "memory": 1 << 30,
            "disk": 0,
            "reference": "def double(x):\n    return 2 * x\n",
        }
    ]


def test_one_verdict_for_each_candidate_in_order() -> None:
    outcome = Outcome(status="fail", explanation="no", seconds=0.12345, level="l", stderr="x" * TAIL + "end")
    first, second, third = verdicts(
        judge_of(), "```\n a\n```", "prose", "```\n b\n```", sandbox=Boxes(outcome), form="fenced"
    )
    assert first == Verdict(
        judge="execution",
        candidate=0,
        label="fail",
        explanation="no",
        details={
            "program": "def double(x):\n a\n",
            "level": "l",
            "in_box": False,
            "seconds": 0.123,
            "stderr": "x" * (TAIL - 3) + "end",
        },
    )
    assert second == Verdict(
        judge="execution", candidate=1, label="error", explanation="there is no fenced block in the text"
    )
    assert (third.candidate, third.details["program"]) == (2, "def double(x):\n b\n")


def test_a_box_that_failed_is_no_verdict() -> None:
    with pytest.raises(ServiceError, match="own: the sandbox failed, not the program: no memory"):
        verdicts(judge_of(), " a", sandbox=Boxes(Outcome(status="sandbox_error", explanation="no memory")))


def test_nothing_is_run_without_a_sandbox() -> None:
    with pytest.raises(ServiceError, match="this run has no sandbox"):
        verdicts(judge_of(), " a")
    assert [verdict.label for verdict in verdicts(judge_of(), "")] == ["error"]


def test_a_program_may_be_handed_over_as_a_text() -> None:
    boxes = Boxes(Outcome(status="pass", level="l"))
    judge = judge_of(program="{{ answer }}", as_text="code", in_box=True, memory=2048, disk="{{ 3 * names | length }}")
    (verdict,) = verdicts(judge, "    return 'ä\\n'", sandbox=boxes)
    (given,) = boxes.given
    assert given["source"] == "code = \"    return 'ä\\\\n'\""
    assert given["reference"] == r"code = 'def double(x):\n    return 2 * x\n'"
    assert (given["memory"], given["disk"]) == (2 << 30, 3 << 20)
    assert verdict.details["program"] == "    return 'ä\\n'"


def test_options_that_came_later_are_shown_where_they_are_set() -> None:
    assert "as_text" not in judge_of().shown(SAMPLE, "")
    shown = judge_of(as_text="code", in_box=True, memory=2048, disk=1).shown(SAMPLE, "")
    assert [shown[key] for key in ("as_text", "memory", "disk")] == ["code", 2048, 1]


def test_an_expression_says_where_the_tests_run() -> None:
    assert judge_of(in_box="{{ 'two' in helpers }}").trial(SAMPLE, "").in_box is True
    assert judge_of(in_box=True).trial(SAMPLE, "").in_box is True


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"calls": "{{ prompt }}"}, "own.yaml: judging[0].calls: this field must yield a list of function names, not"),
        ({"calls": "{{ ['a b'] }}"}, "own.yaml: judging[0].calls: this field must yield a list of function names, not"),
        ({"in_box": "{{ prompt }}"}, "own.yaml: judging[0].in_box: this field must yield true or false, not 'def"),
        ({"disk": "{{ prompt }}"}, "own.yaml: judging[0].disk: this field must yield a whole number of MiB, not 'def"),
        ({"disk": -1}, "own.yaml: judging[0].disk: this field must yield a whole number of MiB, not -1."),
        ({"tests": "{{ test }}"}, "own.yaml: judging[0].tests: the row has no column 'test'; did you mean 'tests'?"),
        ({"setup": "{{ tests | functions_used('def') }}"}, "own.yaml: judging[0].setup: the template fails on a row:"),
    ],
)
def test_templates_that_fail_on_a_row(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        judge_of(**changes).trial(SAMPLE, "")
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tests": None}, "own.yaml: judging[0]: tests: this key is required but missing."),
        ({"calls": "double"}, "own.yaml: judging[0].calls: this field takes one {{ expression }} whose value is used"),
        ({"program": "{{ answer"}, "own.yaml: judging[0].program: the template '{{ answer' does not parse:"),
        ({"seconds": 0}, "own.yaml: judging[0]: seconds: Input should be greater than 0, not 0."),
        (
            {"program": "{{ answer.__class__.__mro__ }}"},
            "own.yaml: judging[0].program: the template reaches for Python",
        ),
    ],
)
def test_malformed_options(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EvalHarnessError) as error:
        judge_of(**changes).trial(SAMPLE, "")
    assert str(error.value).startswith(sentence)


def test_the_columns_are_those_of_the_templates() -> None:
    assert judge_of().columns == {"prompt", "code", "tests", "helpers", "names"}


def test_faults_of_right_answers_are_found_without_running_them() -> None:
    assert judge_of().faults(SAMPLE, "    return 2 * x") == []
    found = judge_of(tests="assert (", calls="{{ [] }}").faults(SAMPLE, "return 2 * x")
    assert [option for option, _ in found] == ["program", "tests", "calls"]
    assert found[0][1] == (
        "the program of sample 7 is no Python: expected an indented block after function definition on line 1 (line 2)."
    )


def test_faults_of_a_program_that_is_a_text() -> None:
    judge = judge_of(as_text="code", in_box=True, calls=None)
    assert judge.faults(SAMPLE, "return (") == []
    (fault,) = judge_of(as_text="code").faults(SAMPLE, "return (")
    assert fault == ("as_text", "the tests of sample 7 run in a box without the program; set in_box.")


# --------------------------------------------------------------------------- in the sandbox


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(choose(), workers=2)
    yield pool
    pool.close()


def test_labels_come_from_what_programs_do(pool: Pool) -> None:
    programs = {
        "    return 2 * x": "pass",
        "    return x": "fail",
        "    return 1 / 0": "error",
        "    while True: pass": "timeout",
        "    return bytearray(1 << 34)": "memory",
        "    return 'x' * (1 << 21)": "output_limit",
        "    import os; os._exit(0)": "error",
        "  return (": "error",
        "": "error",
    }
    found = verdicts(judge_of(seconds=1), *programs, sandbox=pool)
    assert dict(zip(programs, (verdict.label for verdict in found), strict=True)) == programs
    failed = found[1]
    assert failed.explanation == "assert double(2) == 4; the last call returned 2"
    assert failed.details["level"] == pool.sandbox.level


def test_what_a_program_prints_is_kept(pool: Pool) -> None:
    (verdict,) = verdicts(judge_of(), "    print('seen', x, flush=True); return 2 * x", sandbox=pool)
    assert verdict.label == "pass"
    assert "seen 2\nseen 0" in verdict.details["stderr"]


def test_tests_in_the_box_see_the_programs_own_classes(pool: Pool) -> None:
    judge = judge_of(program="{{ answer }}", tests="assert double(Two()) == 4", setup="", in_box=True)
    (verdict,) = verdicts(judge, "class Two: x = 2\ndef double(it): return 2 * it.x", sandbox=pool)
    assert (verdict.label, verdict.details["in_box"]) == ("pass", True)


def test_tests_that_run_a_text_as_a_part_of_another_program(pool: Pool) -> None:
    tests = "found = {}\nexec('value = 3\\n' + code, found)\nassert found['result'] == 6"
    judge = judge_of(program="{{ answer }}", reference=None, setup="", tests=tests, in_box=True, as_text="code")
    programs = {"result = 2 * value": "pass", "result = value": "fail", "result = valeu": "fail", "(": "fail"}
    found = verdicts(judge, *programs, sandbox=pool)
    assert dict(zip(programs, (verdict.label for verdict in found), strict=True)) == programs
    assert found[0].details["in_box"] is True


def test_files_where_the_task_asks_for_them(pool: Pool) -> None:
    judge = judge_of(tests="open('x', 'w').write('1'); assert double(2) == 4", in_box=True, disk=1)
    if pool.sandbox.level == "landlock":
        with pytest.raises(ServiceError, match="cannot bound a folder to write in"):
            verdicts(judge, "    return 2 * x", sandbox=pool)
        return
    assert verdicts(judge, "    return 2 * x", sandbox=pool)[0].label == "pass"
    assert verdicts(judge_of(tests="open('x', 'w')", in_box=True), "    pass", sandbox=pool)[0].label == "fail"


def test_nothing_holds_up_the_event_loop(pool: Pool) -> None:
    async def ticks_while_judging() -> int:
        judging = asyncio.create_task(
            judge_of(seconds=0.5, reference=None).verdicts(bench("    while True: pass", sandbox=pool))
        )
        ticks = 0
        while not judging.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(ticks_while_judging()) > 10
