"""Proofs, checked by Lean 4 in the sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from evalharness.elicitation.base import Executor
from evalharness.errors import ServiceError
from evalharness.judging.base import Bench, Judge
from evalharness.judging.lean_words import AXIOMS, axioms_of, forbidden, name_of
from evalharness.judging.programs import TAIL, boxes_of
from evalharness.prompting.templates import Expression, Template
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.types import Parsed, Sample, Verdict

_MEBIBYTE = 1 << 20
_PROCESSES = 64
_RUN = """\
import json, os, shutil, subprocess, sys
job = json.loads({job!r})
path = os.pathsep.join([os.environ.get("PATH", ""), os.path.dirname(sys.executable)])
lean = shutil.which(job["command"][0], path=path)
said = {{"lean": lean}}
if lean and (job["folder"] is None or os.path.isdir(job["folder"])):
    given = "--version" if job["text"] is None else "--stdin"
    ended = subprocess.run([lean, *job["command"][1:], given], cwd=job["folder"], input=job["text"] or "",
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    said.update(code=ended.returncode, printed=ended.stdout[-100_000:])
print(json.dumps(said))
"""


class Lean(Judge):
    """``pass`` where Lean accepts the statement with the candidate behind it, on Lean's own axioms alone.

    ``refused``: the candidate says a word that would assume what is to be proven, change the language or print
    (`lean_words`). ``fail``: Lean finds an error, or another axiom is used. ``timeout`` and ``memory`` are the box's
    limits.

    Lean must be visible where programs are executed: in the image of ``--sandbox-image``, or with ``--sandbox unsafe
    --allow-unsafe-execution`` anywhere on this machine. Without it nothing is asked of the model.
    """

    executes: ClassVar[bool] = True
    templated: ClassVar[tuple[str, ...]] = ("header", "statement")

    judge: str = "lean"
    header: str = ""
    """Template: what stands before the statement, its imports."""
    statement: str
    """Template: the theorem as far as ``:=`` or ``:= by``, behind which the candidate is put."""
    command: tuple[str, ...] = Field(default=("lean",), min_length=1)
    """What reads a file of Lean from standard input with --stdin: [lean], or [lake, env, lean] in a `folder`."""
    folder: str | None = None
    """A project of Lake, with Mathlib built, in which the command is run."""
    seconds: float = Field(default=180.0, gt=0.0)
    """Time limit of a proof; importing Mathlib is part of it."""
    memory: int = Field(default=16384, ge=64)
    """MiB of address space; Mathlib's files are mapped into it."""

    @cached_property
    def _texts(self) -> Mapping[str, Template]:
        sources = {"header": self.header, "statement": self.statement}
        return {field: Template(source, f"{self._where}.{field}") for field, source in sources.items()}

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return list(self._texts.values())

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"file": self._file(sample, answer)[0]}

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        statement = self._texts["statement"](_row(sample))
        if name_of(statement) is None:
            return [("statement", f"the statement of sample {sample.id} names no theorem.")]
        if not statement.rstrip().endswith((":=", "by")):
            return [
                ("statement", f"the statement of sample {sample.id} must end with := or := by, for a proof to follow.")
            ]
        return []

    def _file(self, sample: Sample, proof: str) -> tuple[str, str]:
        """What Lean is given, and the theorem's name."""
        texts = {field: template(_row(sample)).rstrip() for field, template in self._texts.items()}
        name = name_of(texts["statement"]) or ""
        gap = "" if proof[:1].isspace() else " "
        return f"{texts['header']}\n\n{texts['statement']}{gap}{proof}\n\n#print axioms {name}\n".lstrip(), name

    async def prepare(self, task: str, sandbox: Executor | None) -> None:
        if sandbox is None:
            return
        outcome, said = await self._run(sandbox, None)
        if said is None:
            raise ServiceError(f"{task}: the sandbox failed before Lean was looked for: {outcome.explanation}")
        if said.get("code") != 0:
            where = f" (folder {self.folder})" if self.folder else ""
            raise ServiceError(
                f"{task}: proofs are checked by Lean 4, and '{self.command[0]}'{where} does not run where programs are "
                f"executed (level {outcome.level}); use --sandbox-image with Lean and Mathlib in it, or --sandbox "
                "unsafe --allow-unsafe-execution where it is installed (docs/mathematics.md)."
            )

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        judged = (self._verdict(bench, number, parsed) for number, parsed in enumerate(bench.answers()))
        return tuple(await asyncio.gather(*judged))

    async def _verdict(self, bench: Bench, number: int, parsed: Parsed) -> Verdict:
        label, explanation, details = await self._judged(bench, parsed)
        return Verdict(judge=self.judge, candidate=number, label=label, explanation=explanation, details=details)

    async def _judged(self, bench: Bench, parsed: Parsed) -> tuple[str, str | None, dict[str, Any]]:
        if parsed.value is None:
            return "error", parsed.why, {}
        if (word := forbidden(parsed.value)) is not None:
            return "refused", f"a proof may not say '{word}'", {}
        text, name = self._file(bench.sample, parsed.value)
        outcome, said = await self._run(boxes_of(bench), text)
        details: dict[str, Any] = {"file": text, "level": outcome.level, "seconds": round(outcome.seconds, 3)}
        if outcome.status in ("timeout", "memory"):
            return outcome.status, outcome.explanation, details
        if said is None or "code" not in said:
            raise ServiceError(f"{bench.task}: Lean could not be run: {outcome.explanation or 'it is not there'}.")
        details["printed"] = said["printed"][-TAIL:]
        if said["code"] != 0:
            return "fail", _first_error(said["printed"]), details
        axioms = axioms_of(name, said["printed"])
        if axioms is None:
            return "fail", f"Lean does not say which axioms '{name}' uses", details
        if others := sorted(axioms - AXIOMS):
            return "fail", f"the proof uses {', '.join(others)}", details
        return "pass", None, details

    async def _run(self, boxes: Executor, text: str | None) -> tuple[Outcome, dict[str, Any] | None]:
        """The outcome of the box, and what came of Lean in it, for a file or its version; None where nothing did."""
        job = {"command": self.command, "folder": self.folder, "text": text}
        source = _RUN.format(job=json.dumps(job))
        limits = Limits(seconds=self.seconds, memory=self.memory * _MEBIBYTE, processes=_PROCESSES)
        outcome = await boxes.run(source, limits=limits)
        if outcome.status == "sandbox_error":  # the level cannot hold the processes of a program together
            outcome = await boxes.run(source, limits=replace(limits, processes=0))
        lines = outcome.stdout.strip().splitlines()
        return outcome, json.loads(lines[-1]) if outcome.status == "pass" and lines else None


def _row(sample: Sample) -> dict[str, Any]:
    return {"subset": sample.subset, **sample.row}


def _first_error(printed: str) -> str:
    lines = printed.strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else "Lean ended with an error")[:300]
