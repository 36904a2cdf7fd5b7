"""Methods that let the model write a program, whose result is the answer: nobody asks the model to do the sums."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import takewhile

from pydantic import Field

from evalharness.answers.code import CodeParser
from evalharness.elicitation.base import Ask, Method
from evalharness.elicitation.packages import missing_package, told_missing
from evalharness.errors import ServiceError
from evalharness.options import Options
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.types import Attempt, ToolUse

SHOWN = 2_000
"""Characters of a result that are kept; an answer has fewer."""


class ProgramOptions(Options):
    """Options of program_aided and program_of_thoughts."""

    samples: int = Field(default=1, ge=1)
    """Programs drawn for each sample; their results vote."""
    temperature: float = Field(default=0.7, gt=0.0)
    """Of the draws, where there are several; a single program is drawn by the task's `decode`."""
    seconds: float = Field(default=10.0, gt=0.0)
    """That a program may take."""
    result: str | None = None
    """Python expression whose value is the answer; ``solution()`` and ``ans`` unless given."""
    setup: str = ""
    """Python that is run before every program: what the model may take for granted."""
    begins: str = ""
    """What the prompt says of the program already, ``def solver():``; the completion goes on in it, as far as its lines
    are indented."""


def _method(result: str) -> Callable[[Ask, ProgramOptions], Awaitable[Attempt]]:
    """Draw programs, run each, and take the last line that is printed, its `result`, as its answer.

    A program that fails answers nothing. The vote is the parser's (`Parser.read`), so that re-scoring needs no sandbox.
    """

    async def run(ask: Ask, options: ProgramOptions) -> Attempt:
        sampling = replace(ask.sampling, temperature=options.temperature) if options.samples > 1 else None
        said = await ask.generate(ask.prompt(reasoned=True), n=options.samples, sampling=sampling)
        programs = [_program(completion.text, options.begins) for completion in said]
        uses = await _used(ask, programs, options, options.result or result)
        answers = tuple(use.result if use.status == "ok" else "" for use in uses)
        return Attempt(calls=tuple(ask.calls), candidates=answers, tool_uses=tuple(uses))

    return run


def _program(said: str, begins: str) -> str:
    program = CodeParser().parse(said).value or ""
    if not begins:
        return program
    first, *others = program.split("\n")
    return begins + "\n".join([first, *takewhile(lambda line: line.startswith("    "), others)])


async def _used(ask: Ask, programs: list[str], options: ProgramOptions, result: str) -> list[ToolUse]:
    """One use of Python for each program; programs that are alike run once.

    Raises:
        ServiceError: there is no sandbox, it failed itself, or it lacks what `setup` needs: none of it says anything of
            the program.
    """
    if ask.sandbox is None:
        raise ServiceError("the method executes model-written programs, and this run has no sandbox.")
    boxes, limits = ask.sandbox, Limits(seconds=options.seconds)
    setup = f"{options.setup}\n" if options.setup else ""

    async def used(program: str) -> ToolUse:
        outcome = await boxes.run(f"{setup}{program}\nprint({result})\n", limits=limits)
        if outcome.status == "sandbox_error":
            raise ServiceError(f"the sandbox failed, not the program: {outcome.explanation}")
        if (package := await missing_package(outcome, boxes, limits)) is None:
            return _use(program, outcome, outcome.status, outcome.explanation or "")
        if setup and (await boxes.run(setup, limits=limits)).status == "error":
            raise ServiceError(f"{ask.task}: elicitation.setup: {told_missing(package)}.")
        return _use(program, outcome, "missing_package", told_missing(package))

    different = list(dict.fromkeys(programs))
    uses = dict(zip(different, await asyncio.gather(*map(used, different)), strict=True))
    return [uses[program] for program in programs]


def _use(program: str, outcome: Outcome, status: str, why: str) -> ToolUse:
    passed = outcome.status == "pass"
    printed = outcome.stdout.rstrip().rpartition("\n")[2]
    return ToolUse(
        tool="python",
        arguments={"program": program},
        result=(printed if passed else why)[:SHOWN],
        status="ok" if passed else status,
        details={"level": outcome.level, "seconds": round(outcome.seconds, 3)},
    )


program_aided = Method(
    name="program_aided",
    run=_method("solution()"),
    needs="target",
    options=ProgramOptions,
    reasoned=True,
    executes=True,
)
"""Program-aided language models (Gao et al. 2022, arXiv:2211.10435): the model defines ``solution()``."""

program_of_thoughts = Method(
    name="program_of_thoughts",
    run=_method("ans"),
    needs="target",
    options=ProgramOptions,
    reasoned=True,
    executes=True,
)
"""Program of thoughts (Chen et al. 2022, arXiv:2211.12588): the model sets the variable ``ans``."""
