"""Programs, tested candidates and sessions in boxes of one level."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from evalharness.sandbox.box import Box, Reason, watch
from evalharness.sandbox.inside.plain import dumps, loads
from evalharness.sandbox.interpreter import Interpreter
from evalharness.sandbox.levels import Level
from evalharness.sandbox.outcome import LIMITS, Limits, Outcome, Status

_SHOWN = 20_000
"""Characters of what a program prints beside its tests that an outcome keeps: the last ones."""
_ENDING = 1.0
"""Seconds in which a process that has closed its pipe ends, as a rule."""
_CPU_TIME = 128 + 24
"""Exit status after SIGXCPU."""
_SIGNALS = {128 + 9: "killed", 128 + 11: "segmentation fault", 128 + 6: "aborted"}


class Sandbox:
    """Runs model-written code. Safe to share between threads: every call is a box of its own.

    What a program does never raises here: it is an `Outcome`. A `sandbox_error` says nothing of the program.
    """

    def __init__(self, level: Level, interpreter: Interpreter) -> None:
        self._level = level
        self._interpreter = interpreter

    @property
    def level(self) -> str:
        """Name of the isolation."""
        return self._level.name

    def facts(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"level": self.level, "isolated": self._level.isolated, "python": self._interpreter.version}

    def run(self, source: str, *, stdin: str = "", limits: Limits = LIMITS) -> Outcome:
        """Run a whole program: passes if it ends by itself with exit status 0."""
        if refused := self._refused(limits):
            return refused
        try:
            box = self._box(("confine", "program"), {"source": _compilable(source)}, limits)
        except OSError as error:
            return self._broken(str(error))
        with box:
            box.send(stdin.encode(errors="surrogatepass"))
            box.close_input()
            reason, seconds = watch([box], limits.seconds, lambda: False)
            if reason == "done" and not box.wait(limits.seconds - seconds):
                reason = "timeout"
            return self._outcome_of_program(box, reason, seconds, limits)

    def test(
        self,
        source: str,
        *,
        tests: str,
        calls: Sequence[str],
        setup: str = "",
        in_box: bool = False,
        limits: Limits = LIMITS,
    ) -> Outcome:
        """Run tests against a candidate: passes if they end without raising.

        Args:
            source: the candidate.
            tests: Python; it runs in a box of its own, which the candidate cannot see, after `setup`, and each name of
                `calls` is there a function that calls the candidate's through a pipe, with plain data only.
            in_box: run `setup` and `tests` in the candidate's own process instead, for tests that handle objects of its
                classes. A candidate that sets out to can then forge what they find.
        """
        if refused := self._refused(limits):
            return refused
        try:
            if in_box:
                return self._tested_in_box(source, setup, tests, limits)
            return self._tested_outside(source, setup, tests, calls, limits)
        except OSError as error:
            return self._broken(str(error))

    def session(self, *, limits: Limits = LIMITS) -> Session:
        """A Python session that keeps its variables; `limits.seconds` hold for each piece of code."""
        return Session(self, limits)

    # ----------------------------------------------------------------------- the three ways

    def _outcome_of_program(self, box: Box, reason: Reason, seconds: float, limits: Limits) -> Outcome:
        status, why = self._end_of(box, reason, limits)
        if status is None:
            code = box.status
            status = "pass" if code == 0 else "error"
            last = box.said.strip().rpartition("\n")[2]
            if code == 1 and last.startswith("MemoryError"):
                status, why = "memory", "MemoryError"
            elif code == _CPU_TIME:
                status, why = "timeout", "its processor time is used up"
            elif code:
                why = last[:600] if code == 1 and last else _ended(code)
        return Outcome(
            status=status,
            explanation=why,
            stdout=box.stdout[: limits.output].decode(errors="replace"),
            stderr=box.said[-_SHOWN:],
            seconds=seconds,
            level=self.level,
        )

    def _tested_outside(self, source: str, setup: str, tests: str, calls: Sequence[str], limits: Limits) -> Outcome:
        longest = {"longest": limits.output}
        verdict: list[dict[str, Any]] = []
        parts = ("confine", "plain", "channel")
        told = {"setup": setup, "tests": tests, "calls": list(calls)}
        with (
            self._box((*parts, "candidate"), {"source": _compilable(source), **longest}, limits) as candidate,
            self._box((*parts, "tester"), {**told, **longest}, limits) as tester,
        ):

            def from_tester(line: bytes) -> None:
                if line.startswith(b'{"dict":[["call"'):
                    candidate.send(line)
                else:
                    verdict.append(loads(line))

            candidate.on_line, candidate.on_end = tester.send, tester.close_input
            tester.on_line = from_tester
            reason, seconds = watch([candidate, tester], limits.seconds, lambda: bool(verdict))
            status, why = self._end_of(candidate, reason, limits, tester)
            if status is None and not verdict:
                status, why = "sandbox_error", f"the tests ended without a verdict: {_last(tester)}"
            elif status is None:
                status, why = verdict[0]["verdict"], verdict[0]["why"]
                if status == "ended":
                    status, why = self._early_end(candidate, why)
            assert status is not None
            return Outcome(
                status=status,
                explanation=why,
                stderr=candidate.said[-_SHOWN:],
                seconds=seconds,
                level=self.level,
            )

    def _tested_in_box(self, source: str, setup: str, tests: str, limits: Limits) -> Outcome:
        nonce = secrets.token_hex(16)
        said: list[dict[str, Any]] = []
        modules = ("confine", "plain", "channel", "candidate", "tester", "in_box")
        job = {"source": _compilable(source), "longest": limits.output}
        with self._box(modules, job, limits) as box:

            def take(line: bytes) -> None:
                try:
                    message = loads(line)
                except ValueError:
                    message = None
                if not said and isinstance(message, dict) and message.get("loaded") is True:
                    box.send(dumps({"nonce": nonce, "setup": setup, "tests": tests}).encode() + b"\n")
                said.append(message if isinstance(message, dict) else {})

            def settled() -> bool:
                return len(said) > 1 or bool(said and said[0].get("loaded") is not True)

            box.on_line = take
            reason, seconds = watch([box], limits.seconds, settled)
            status, why = self._end_of(box, reason, limits)
            if status is None:
                status, why = self._verdict_in_box(box, said, nonce)
            return Outcome(
                status=status,
                explanation=why,
                stderr=box.said[-_SHOWN:],
                seconds=seconds,
                level=self.level,
                in_box=True,
            )

    def _verdict_in_box(self, box: Box, said: list[dict[str, Any]], nonce: str) -> tuple[Status, str | None]:
        last = said[-1] if said else None
        if last is None or (len(said) == 1 and last.get("loaded") is True):
            return self._early_end(box, "the program ended before its tests did")
        if last.get("loaded") is False and last.get("status") in ("error", "memory"):
            return last["status"], str(last.get("why"))
        verdict = last.get("verdict")
        if last.get("nonce") != nonce or verdict not in ("pass", "fail", "error", "memory"):
            return "error", "the program wrote something else where its verdict belongs"
        return verdict, last.get("why")

    # ----------------------------------------------------------------------- what all of them need

    def _box(self, modules: Sequence[str], job: dict[str, Any], limits: Limits) -> Box:
        return Box(self._level.launch(self._interpreter, limits), modules, job, limits)

    def _refused(self, limits: Limits) -> Outcome | None:
        """What this level could not hold a program to, it does not allow it."""
        if limits.disk and not self._level.bounds_disk:
            return self._broken(f"the level {self.level} cannot bound a folder to write in; install bubblewrap")
        if limits.processes and not self._level.allows_processes:
            return self._broken(f"the level {self.level} cannot hold further processes; install bubblewrap")
        return None

    def _broken(self, why: str) -> Outcome:
        return Outcome(status="sandbox_error", explanation=why, level=self.level)

    def _end_of(
        self, box: Box, reason: Reason, limits: Limits, tester: Box | None = None
    ) -> tuple[Status | None, str | None]:
        """Status and explanation where a limit or the box itself decided, else (None, None)."""
        boxes = [box] if tester is None else [box, tester]
        if reason == "timeout":
            return "timeout", f"longer than {limits.seconds:g} s"
        if reason == "output_limit":
            if box.too_long:
                return "output_limit", f"more than {limits.output:,} bytes of output"
            return "sandbox_error", f"the tests print more than {limits.output:,} bytes"
        for each in boxes:
            if not each.ready:
                return "sandbox_error", f"the box could not be made: {_last(each)}"
        return None, None

    def _early_end(self, box: Box, why: str) -> tuple[Status, str]:
        box.wait(_ENDING)
        code = box.status
        if code == _CPU_TIME:
            return "timeout", "its processor time is used up"
        if "MemoryError" in _last(box):
            return "memory", "MemoryError"
        return "error", f"{why} ({'it closed its pipe' if code is None else _ended(code)})"


class Session:
    """A Python session in a box. A context manager."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self._sandbox, self._limits = sandbox, limits
        self._box: Box | None = None
        self._closed: str | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, code: str) -> Outcome:
        """Run a piece of code; `value` is the ``repr`` of its last expression, `stdout` all that it printed.

        After an end that the session does not survive (a time limit, a crash) every call says so until `reset`.
        """
        level = self._sandbox.level
        if self._closed is not None:
            return Outcome(status="error", explanation=f"the session has ended: {self._closed}", level=level)
        try:
            box = self._started()
        except OSError as error:
            return Outcome(status="sandbox_error", explanation=str(error), level=level)
        answers: list[bytes] = []
        box.on_line = answers.append
        box.send(dumps({"code": _compilable(code)}).encode() + b"\n")
        reason, seconds = watch([box], self._limits.seconds, lambda: bool(answers))
        status, why = self._sandbox._end_of(box, reason, self._limits)
        if status is None and not answers:
            status, why = self._sandbox._early_end(box, "the session ended")
        if status is None:
            try:
                return self._outcome(loads(answers[0]), seconds)
            except (ValueError, KeyError, TypeError):
                status, why = "error", "the program wrote something else where its answer belongs"
        self._end(f"{status}: {why}")
        return Outcome(status=status, explanation=why, seconds=seconds, level=level)

    def _outcome(self, told: dict[str, Any], seconds: float) -> Outcome:
        if told["status"] not in ("pass", "error", "memory", "output_limit"):
            raise ValueError
        return Outcome(
            status=told["status"],
            explanation=told["why"],
            stdout=str(told["stdout"]),
            value=told["value"],
            seconds=seconds,
            level=self._sandbox.level,
        )

    def reset(self) -> None:
        """Forget everything: the next code starts a fresh session."""
        self.close()
        self._closed = None

    def close(self) -> None:
        """End the session."""
        self._end("closed")

    def _started(self) -> Box:
        if self._box is None:
            modules = ("confine", "plain", "channel", "session")
            job = {"longest": 4 * self._limits.output, "printed": self._limits.output // 4}
            self._box = self._sandbox._box(modules, job, self._limits)
        return self._box

    def _end(self, why: str) -> None:
        self._closed = why
        if self._box is not None:
            self._box.kill()
            self._box = None


def _compilable(source: str) -> str:
    """The source as every Python can be handed it: half a surrogate pair becomes a question mark."""
    return source.encode(errors="replace").decode()


def _last(box: Box) -> str:
    """The last line of what it said, for a person."""
    return box.said.replace("\0", "").strip().rpartition("\n")[2][:600] or "it said nothing"


def _ended(code: int) -> str:
    return f"{_SIGNALS[code]}" if code in _SIGNALS else f"exit status {code}"
