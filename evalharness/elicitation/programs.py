"""Methods that let the model write a program, whose result is the answer: nobody asks the model to do the sums."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pydantic import Field

from evalharness.answers.code import CodeParser
from evalharness.elicitation.base import Ask, Executor, Method
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


def _method(tail: str) -> Callable[[Ask, ProgramOptions], Awaitable[Attempt]]:
    """Draw programs, run each with `tail` behind it, and take the last line that is printed as its answer.

    A program that fails answers nothing. The vote is the parser's (`Parser.read`), so that re-scoring needs no sandbox.
    """

    async def run(ask: Ask, options: ProgramOptions) -> Attempt:
        sampling = replace(ask.sampling, temperature=options.temperature) if options.samples > 1 else None
        said = await ask.generate(ask.prompt(reasoned=True), n=options.samples, sampling=sampling)
        programs = [CodeParser().parse(completion.text).value or "" for completion in said]
        uses = await _used(ask.sandbox, programs, tail, Limits(seconds=options.seconds))
        answers = tuple(use.result if use.status == "ok" else "" for use in uses)
        return Attempt(calls=tuple(ask.calls), candidates=answers, tool_uses=tuple(uses))

    return run


async def _used(sandbox: Executor | None, programs: list[str], tail: str, limits: Limits) -> list[ToolUse]:
    """One use of Python for each program; programs that are alike run once.

    Raises:
        ServiceError: there is no sandbox, or it failed itself, which says nothing of the program.
    """
    if sandbox is None:
        raise ServiceError("the method executes model-written programs, and this run has no sandbox.")
    different = list(dict.fromkeys(programs))
    ran = await asyncio.gather(*(sandbox.run(f"{program}\n{tail}\n", limits=limits) for program in different))
    outcomes = dict(zip(different, ran, strict=True))
    return [_use(program, outcomes[program]) for program in programs]


def _use(program: str, outcome: Outcome) -> ToolUse:
    if outcome.status == "sandbox_error":
        raise ServiceError(f"the sandbox failed, not the program: {outcome.explanation}")
    passed = outcome.status == "pass"
    printed = outcome.stdout.rstrip().rpartition("\n")[2]
    return ToolUse(
        tool="python",
        arguments={"program": program},
        result=(printed if passed else outcome.explanation or "")[:SHOWN],
        status="ok" if passed else outcome.status,
        details={"level": outcome.level, "seconds": round(outcome.seconds, 3)},
    )


program_aided = Method(
    name="program_aided",
    run=_method("print(solution())"),
    needs="target",
    options=ProgramOptions,
    reasoned=True,
    executes=True,
)
"""Program-aided language models (Gao et al. 2022, arXiv:2211.10435): the model defines ``solution()``."""

program_of_thoughts = Method(
    name="program_of_thoughts",
    run=_method("print(ans)"),
    needs="target",
    options=ProgramOptions,
    reasoned=True,
    executes=True,
)
"""Program of thoughts (Chen et al. 2022, arXiv:2211.12588): the model sets the variable ``ans``."""
