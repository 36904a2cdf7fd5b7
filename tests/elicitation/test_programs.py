"""Program-aided methods over the sandbox itself: programs run, their results are the answers and vote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from evalharness.elicitation.base import Ask
from evalharness.errors import ServiceError
from evalharness.prompting.prompter import Prompter
from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.sandbox.pool import Pool
from evalharness.tasks.protocol_hash import synthetic_samples
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Completion, Completions, GenerateRequest, Request, Result

PAL = """\
def solution():
    \"\"\"A question.\"\"\"
    rolls = 12 * 3
    result = rolls * 2
    return result"""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    boxes = Pool(choose(), workers=2)
    yield boxes
    boxes.close()


class Model:
    """Says these texts, as many as are asked for."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.asked: list[GenerateRequest] = []

    async def ask(self, request: Request) -> Result:
        assert isinstance(request, GenerateRequest)
        self.asked.append(request)
        return Completions(tuple(Completion(text=text) for text in self.said[: request.n]))


def _run(task: Task, model: Model, sandbox: Any) -> Attempt:
    samples = synthetic_samples(task)
    ask = Ask(
        task=task.name,
        sample=samples[0],
        reference=task.renderer.reference(samples[0]),
        demonstrations=samples[1:],
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=None, max_length=None),
        waves=model,
        sampling=task.sampling,
        sandbox=sandbox,
    )

    async def elicited() -> Attempt:
        return await task.method.run(ask, task.method_options)

    return asyncio.run(elicited())


def _score(task: Task, attempt: Attempt) -> float:
    reference = task.renderer.reference(synthetic_samples(task)[0])
    return task.scorer.score(attempt, reference).scores["exact_match"].value


def _pal(**options: Any) -> Task:
    return load_task("gsm8k", protocol="pal", changes={"elicitation": options} if options else None)


def _pot(**options: Any) -> Task:
    return load_task("gsm8k", protocol="pot", changes={"elicitation": options} if options else None)


def test_pal_runs_the_function_and_its_result_is_the_answer(pool: Pool) -> None:
    task, model = _pal(), Model(PAL)
    attempt = _run(task, model, pool)
    assert attempt.candidates == ("72.0",)
    (use,) = attempt.tool_uses
    assert (use.tool, use.arguments, use.result, use.status) == ("python", {"program": PAL}, "72.0", "ok")
    assert use.details["level"] == pool.sandbox.level
    assert _score(task, attempt) == 1.0
    (request,) = model.asked
    assert (request.n, request.sampling.temperature, request.sampling.stop) == (1, 0.0, ("\n\n\n",))
    assert request.prompt.text.endswith(
        "    seats_taken = seats // 3\n    result = seats - seats_taken\n    return result\n\n\n\n\n\n"
        "Q: A baker sells 12 rolls an hour for 3 hours. Each roll costs $2. How many dollars does she take?\n\n"
        "# solution in Python:\n\n\n"
    )


def test_pot_reads_the_variable(pool: Pool) -> None:
    task, model = _pot(), Model("rolls = 12 * 3\nans = rolls * 2")
    attempt = _run(task, model, pool)
    assert attempt.candidates == ("72.0",)
    assert _score(task, attempt) == 1.0
    assert model.asked[0].prompt.text.startswith("\nQuestion: Tom has 50 stamps.")
    assert model.asked[0].prompt.text.endswith("How many dollars does she take?\n# Python code, return ans\n")


@pytest.mark.parametrize(
    ("text", "candidate", "score"),
    [
        ("```python\nprint('working')\nans = 144 / 2\n```\nSo it is 72.", "72.0", 1.0),
        ("ans = math.floor(statistics.mean([72.5, 71.7]))", "72.0", 1.0),
        ("ans = 72.04", "72.04", 1.0),
        ("ans = 72.05", "72.05", 0.0),
        ("from fractions import Fraction\nans = Fraction(144, 2)", "72.0", 1.0),
        ("ans = [72, 5]", "72.0", 1.0),
        ("ans = '72'", "72.0", 1.0),
        ("ans = '$72'", "", 0.0),
        ("ans = None", "", 0.0),
    ],
)
def test_a_result_of_program_of_thoughts(pool: Pool, text: str, candidate: str, score: float) -> None:
    """Their runner makes a number of it, the first of a list, and compares what both round to."""
    task = _pot()
    attempt = _run(task, Model(text), pool)
    assert attempt.candidates == (candidate,)
    assert _score(task, attempt) == score


@pytest.mark.parametrize(("value", "score"), [("72.0009", 1.0), ("72.001", 0.0), ("'72 dollars'", 0.0), ("7.2e1", 1.0)])
def test_a_result_of_pal(pool: Pool, value: str, score: float) -> None:
    """Theirs is ``abs(float(result) - answer) < 1e-3``."""
    task = _pal()
    assert _score(task, _run(task, Model(f"def solution():\n    return {value}"), pool)) == score


def test_a_completion_that_goes_on_with_the_prompts_program(pool: Pool) -> None:
    task = load_task("gsm8k", protocol="pot-zero-shot", changes={"elicitation": {"setup": "import math"}})
    said = "    rolls = 12 * 3\n    return math.floor(rolls * 2.01)\nprint(solver())\n    return 1"
    attempt = _run(task, Model(said), pool)
    assert attempt.candidates == ("72.0",)
    assert attempt.tool_uses[0].arguments == {
        "program": "def solver():\n    rolls = 12 * 3\n    return math.floor(rolls * 2.01)"
    }
    assert _score(task, attempt) == 1.0


def test_a_package_that_the_boxes_lack_is_no_fault_of_the_program(pool: Pool) -> None:
    (use,) = _run(_pal(), Model("import no_such_package\ndef solution():\n    return 1"), pool).tool_uses
    assert use.status == "missing_package"
    assert use.result == (
        "Python of the boxes has no package 'no_such_package'; --sandbox-python names an interpreter that has it"
    )
    with pytest.raises(
        ServiceError, match=r"gsm8k: elicitation\.setup: Python of the boxes has no package 'no_such_pa"
    ):
        _run(_pot(setup="import no_such_package as np"), Model("ans = 1"), pool)


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("She takes $72.", "error", "SyntaxError: invalid"),
        ("", "error", "NameError: name 'solution' is not defined"),
        ("def solution():\n    return 1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("def solution():\n    while True:\n        pass", "timeout", "longer than 0.3 s"),
        ("def solution():\n    return 'x' * 10**10", "memory", "MemoryError"),
        ("import sys\ndef solution():\n    sys.exit('72')", "error", "72"),
    ],
)
def test_a_program_that_fails_answers_nothing_and_says_why(pool: Pool, text: str, status: str, told: str) -> None:
    task = _pal(seconds=0.3)
    attempt = _run(task, Model(text), pool)
    (use,) = attempt.tool_uses
    assert (attempt.candidates, use.status) == (("",), status)
    assert told in use.result
    scored = task.scorer.score(attempt, task.renderer.reference(synthetic_samples(task)[0]))
    assert scored.answer is not None
    assert scored.answer.value is None
    assert scored.scores["exact_match"].value == 0.0


def test_programs_vote_and_those_that_fail_do_not(pool: Pool) -> None:
    task = _pal(samples=5)
    wrong = "def solution():\n    return {}"
    model = Model(wrong.format("7 +"), wrong.format("71"), PAL, wrong.format("1 / 0"), wrong.format("72.0"))
    attempt = _run(task, model, pool)
    (request,) = model.asked
    assert (request.n, request.sampling.temperature) == (5, 0.7)
    assert attempt.candidates == ("", "71.0", "72.0", "", "72.0")
    assert [use.status for use in attempt.tool_uses] == ["error", "ok", "ok", "error", "ok"]
    assert _score(task, attempt) == 1.0


class Counting:
    """A sandbox that counts programs."""

    def __init__(self, **outcome: Any) -> None:
        self.programs: list[str] = []
        self.outcome = Outcome(**{"status": "pass", "stdout": "3\n", **outcome})

    async def run(self, source: str, *, stdin: str = "", limits: Limits) -> Outcome:
        self.programs.append(source)
        self.limits = limits
        return self.outcome


def test_programs_that_are_alike_run_once() -> None:
    sandbox = Counting()
    attempt = _run(_pal(samples=4, seconds=2), Model("a", "b", "a", "a"), sandbox)
    assert sandbox.programs == ["a\nprint(float(solution()))\n", "b\nprint(float(solution()))\n"]
    assert sandbox.limits.seconds == 2
    assert attempt.candidates == ("3",) * 4
    assert [use.arguments["program"] for use in attempt.tool_uses] == ["a", "b", "a", "a"]


def test_a_sandbox_that_fails_fails_the_sample() -> None:
    with pytest.raises(ServiceError, match="the sandbox failed, not the program: no box"):
        _run(_pal(), Model("a"), Counting(status="sandbox_error", explanation="no box"))


def test_without_a_sandbox_nothing_runs() -> None:
    with pytest.raises(ServiceError, match="this run has no sandbox"):
        _run(_pal(), Model("a"), None)
