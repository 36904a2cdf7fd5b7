"""Programs, tested candidates and sessions in boxes of one level."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from evalharness.sandbox.box import Box, Reason, watch
from evalharness.sandbox.interpreter import Interpreter
from evalharness.sandbox.levels import Level
from evalharness.sandbox.outcome import LIMITS, Limits, Outcome, Status

_SHOWN = 20_000
"""Characters of what a program prints beside its tests that an outcome keeps: the last ones."""
_LONGEST_EXPLANATION = 600
_PIECES = 100
"""A session may use the processor so many times as long as one piece of its code may."""
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
                why = _text(last) if code == 1 and last else _ended(code)
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
        parts = ("confine", "plain", "channel")
        told = {"setup": setup, "tests": tests, "calls": list(calls)}
        with (
            self._box((*parts, "candidate"), {"source": _compilable(source), **longest}, limits) as candidate,
            self._box((*parts, "tester"), {**told, **longest}, limits) as tester,
        ):
            talk = _Talk(candidate, tester)
            reason, seconds = watch([candidate, tester], limits.seconds, talk.over)
            status, why = self._end_of(candidate, reason, limits, tester)
            if status is None:
                status, why = talk.verdict()
                if talk.candidate_ended:
                    status, why = self._early_end(candidate, why)
            return self._outcome(status, why, candidate, seconds)

    def _tested_in_box(self, source: str, setup: str, tests: str, limits: Limits) -> Outcome:
        outcome = self._once_in_box(source, setup, tests, limits)
        if outcome.status != "pass":
            return outcome
        # What passes must be able to fail: tests that end in a failure which the candidate cannot have foreseen.
        failure = secrets.token_hex(16)
        control = self._once_in_box(source, setup, f"{tests}\nraise AssertionError({failure!r})", limits)
        if control.status == "fail" and failure in str(control.explanation):
            return outcome
        return replace(outcome, status="error", explanation="the program meddles with its tests")

    def _once_in_box(self, source: str, setup: str, tests: str, limits: Limits) -> Outcome:
        nonce = secrets.token_hex(16)
        said: list[dict[str, Any]] = []
        modules = ("confine", "plain", "channel", "candidate", "tester", "in_box")
        job = {"source": _compilable(source), "longest": limits.output}
        with self._box(modules, job, limits) as box:

            def take(line: bytes) -> None:
                said.append(_message(line))
                if len(said) == 1 and said[0].get("loaded") is True:
                    box.send(json.dumps({"nonce": nonce, "setup": setup, "tests": tests}).encode() + b"\n")

            def settled() -> bool:
                return len(said) > 1 or bool(said and said[0].get("loaded") is not True)

            box.on_line = take
            reason, seconds = watch([box], limits.seconds, settled)
            status, why = self._end_of(box, reason, limits)
            if status is None:
                status, why = self._verdict_in_box(box, said, nonce)
            return self._outcome(status, why, box, seconds, in_box=True)

    def _verdict_in_box(self, box: Box, said: list[dict[str, Any]], nonce: str) -> tuple[Status, str | None]:
        last = said[-1] if said else {"loaded": True}
        if last.get("loaded") is True:
            return self._early_end(box, "the program ended before its tests did")
        unloadable = last.get("loaded") is False
        status = _status(last.get("status" if unloadable else "verdict"))
        known = ("error", "memory") if unloadable else ("pass", "fail", "error", "memory")
        if status is None or status not in known or not (unloadable or last.get("nonce") == nonce):
            return "error", "the program wrote something else where its verdict belongs"
        return status, _text(last.get("why"))

    # ----------------------------------------------------------------------- what all of them need

    def _box(self, modules: Sequence[str], job: dict[str, Any], limits: Limits, longest: int | None = None) -> Box:
        return Box(self._level.launch(self._interpreter, limits), modules, job, longest or limits.output)

    def _refused(self, limits: Limits) -> Outcome | None:
        """What this level could not hold a program to, it does not allow it."""
        if limits.disk and not self._level.bounds_disk:
            return self._broken(f"the level {self.level} cannot bound a folder to write in; install bubblewrap")
        if limits.processes and not self._level.allows_processes:
            return self._broken(f"the level {self.level} cannot hold further processes; install bubblewrap")
        return None

    def _outcome(self, status: Status, why: str | None, box: Box, seconds: float, *, in_box: bool = False) -> Outcome:
        """Of a tested candidate."""
        return Outcome(
            status=status,
            explanation=why,
            stderr=box.said[-_SHOWN:],
            seconds=seconds,
            level=self.level,
            in_box=in_box,
        )

    def _broken(self, why: str) -> Outcome:
        return Outcome(status="sandbox_error", explanation=why, level=self.level)

    def _end_of(
        self, box: Box, reason: Reason, limits: Limits, tester: Box | None = None
    ) -> tuple[Status | None, str | None]:
        """Status and explanation where a limit or the box itself decided, else (None, None)."""
        boxes = [box] if tester is None else [box, tester]
        if reason == "timeout":
            return "timeout", f"longer than {limits.seconds:g} s"
        if reason == "output_limit" and not (tester is not None and tester.too_long):
            return "output_limit", f"more than {limits.output:,} bytes of output"
        for each in boxes:
            if not each.ready:
                return "sandbox_error", f"the box could not be made: {_last(each)}"
        return None, None

    def _early_end(self, box: Box, why: str | None) -> tuple[Status, str]:
        box.wait(_ENDING)
        code = box.status
        if code == _CPU_TIME:
            return "timeout", "its processor time is used up"
        if "MemoryError" in _last(box):
            return "memory", "MemoryError"
        return "error", f"{why} ({'it closed its pipe' if code is None else _ended(code)})"


class _Talk:
    """What two boxes say to each other: the tester calls, the candidate answers once, until there is a verdict.

    The lines go through unread but for their kind, so what a candidate says is decoded in the tester's box only.
    """

    def __init__(self, candidate: Box, tester: Box) -> None:
        self._candidate, self._tester = candidate, tester
        self._asked = True
        """Whether the candidate owes an answer; at first, that it is loaded."""
        self._calls = 0
        self._verdict: dict[str, Any] | None = None
        self._ended: str | None = None
        self._out_of_turn = False
        candidate.on_line, candidate.on_end = self._answer, tester.close_input
        tester.on_line, tester.on_end = self._from_tester, self._end

    def over(self) -> bool:
        return self._verdict is not None or self._ended is not None

    @property
    def candidate_ended(self) -> bool:
        """Whether the tests could not go on because the candidate was gone."""
        return self._verdict is not None and self._verdict.get("verdict") == "ended"

    def verdict(self) -> tuple[Status, str | None]:
        """Status and explanation."""
        said = self._verdict or {}
        if self.candidate_ended:
            return "error", _text(said.get("why"))
        if (status := _status(said.get("verdict"))) is not None:
            return status, _text(said.get("why"))
        if self._calls == 0 and not self._out_of_turn:
            return "sandbox_error", f"the tests ended without a verdict: {_last(self._tester)}"
        # After the first answer, what ends the tests may be of the candidate's making: it must not stay uncounted.
        return "error", self._ended or "the tests ended without a verdict"

    def _from_tester(self, line: bytes) -> None:
        if not line.startswith(b'{"call"'):
            self._verdict = _message(line)
            return
        self._calls += 1
        self._asked = True
        self._candidate.send(line)

    def _answer(self, line: bytes) -> None:
        if not self._asked:
            self._out_of_turn = True
            self._ended = "the program answered what nobody asked"
            return
        self._asked = False
        self._tester.send(line)

    def _end(self) -> None:
        self._ended = self._ended or "the tests ended without a verdict"


class Session:
    """A Python session in a box. A context manager.

    The kernel ends a box with the thread that made it: use a session from one thread, or from those of a `Pool`.
    """

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self._sandbox, self._limits = sandbox, limits
        self._box: Box | None = None
        self._pieces = 0
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
        box.signal(signal.SIGCONT)
        answers: list[bytes] = []
        box.on_line = answers.append
        self._pieces += 1
        box.send(json.dumps({"number": self._pieces, "code": _compilable(code)}).encode() + b"\n")
        reason, seconds = watch([box], self._limits.seconds, lambda: bool(answers))
        status, why = self._sandbox._end_of(box, reason, self._limits)
        if status is None and not answers:
            status, why = self._sandbox._early_end(box, "the session ended")
        if status is None:
            outcome = self._outcome(_message(answers[0]), seconds)
            if outcome is not None:
                box.signal(signal.SIGSTOP)  # a thread that it left behind does not compute between the pieces
                return outcome
            status, why = "error", "the program wrote something else where its answer belongs"
        self._end(f"{status}: {why}")
        return Outcome(status=status, explanation=why, seconds=seconds, level=level)

    def _outcome(self, told: dict[str, Any], seconds: float) -> Outcome | None:
        status, stdout, value = _status(told.get("status")), told.get("stdout"), told.get("value")
        if told.get("answer") != self._pieces or status is None or not isinstance(stdout, str):
            return None
        return Outcome(
            status=status,
            explanation=_text(told.get("why")),
            stdout=_compilable(stdout),
            value=_compilable(value) if isinstance(value, str) else None,
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
            # A character of what is printed takes six bytes of a message at most, and a value may be as long.
            longest = 2 * self._limits.output
            job = {"longest": longest, "printed": self._limits.output // 8}
            limits = replace(self._limits, seconds=self._limits.seconds * _PIECES)
            self._box = self._sandbox._box(modules, job, limits, longest)
            self._pieces = 0
        return self._box

    def _end(self, why: str) -> None:
        self._closed = why
        if self._box is not None:
            self._box.kill()
            self._box = None


def _message(line: bytes) -> dict[str, Any]:
    """The keys of a line; nothing in it is decoded, and a line that is no message has none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _status(said: object) -> Status | None:
    """The status that a box gives, where there is such a one."""
    return next((status for status in get_args(Status) if status == said), None)


def _text(why: object) -> str | None:
    """What a box gives as a reason, as one line for a person."""
    if not isinstance(why, str):
        return None
    return "".join(letter if letter.isprintable() else " " for letter in why[:_LONGEST_EXPLANATION])


def _compilable(source: str) -> str:
    """The source as every Python can be handed it: no byte order mark, question marks for half surrogate pairs."""
    return source.removeprefix("\ufeff").encode(errors="replace").decode()


def _last(box: Box) -> str:
    """The last line of what it said, for a person."""
    return _text(box.said.strip().rpartition("\n")[2]) or "it said nothing"


def _ended(code: int) -> str:
    return f"{_SIGNALS[code]}" if code in _SIGNALS else f"exit status {code}"
