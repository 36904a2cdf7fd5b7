"""The tests, in a box of their own: they call the candidate through a pipe and compare plain data here."""

from __future__ import annotations

import builtins
import sys
from typing import Any

from evalharness.sandbox.inside.channel import Channel, TooLong
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.plain import NotPlain

_LONGEST_EXPLANATION = 600


class Ended(BaseException):
    """The candidate cannot go on. No test can catch it by catching Exception."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class Candidate:
    """The other box, as the tests see it: functions."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.last: str | None = None
        """What came of the last call, for the explanation."""

    def loaded(self) -> None:
        """Wait until the candidate is there.

        Raises:
            Ended: it cannot be loaded.
        """
        answer = self._answer()
        if "raised" in answer:
            name, words, known = answer["raised"]
            raise Ended("memory" if known == "MemoryError" else "error", _short(f"{name}: {words}"))

    def function(self, name: str) -> Any:
        """A function that calls the candidate's of this name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                self._channel.send({"call": name, "args": list(args), "kwargs": kwargs})
            except (NotPlain, TooLong) as error:
                why = f"the tests hand {error} to {name}, which cannot leave their box; they need in_box"
                raise Ended("sandbox_error", why) from None
            return self._value(self._answer())

        call.__name__ = call.__qualname__ = name
        return call

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._channel.receive()
        except EOFError:
            raise Ended("ended", "the program ended before its tests did") from None
        except ValueError:
            raise Ended("error", "the program wrote something else where its answer belongs") from None
        if not isinstance(answer, dict):
            raise Ended("error", "the program wrote something else where its answer belongs")
        return answer

    def _value(self, answer: dict[str, Any]) -> Any:
        if "value" in answer:
            self.last = f"the last call returned {_shown(answer['value'])}"
            return answer["value"]
        if "too_long" in answer:
            raise Ended("output_limit", str(answer["too_long"]))
        if "refused" in answer:
            raise Ended("error", _short(str(answer["refused"])))
        name, words, known = answer["raised"]
        if known == "MemoryError":
            raise Ended("memory", "MemoryError")
        kind = getattr(builtins, str(known), Exception)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise Ended("error", _short(f"{name}: {words}"))
        try:
            error = kind(words)
        except Exception:  # UnicodeDecodeError and the like want more than words
            error = Exception(words)
        error.from_candidate = _short(f"{name}: {words}")  # type: ignore[attr-defined]
        raise error


def main(job: dict[str, Any]) -> None:
    """Run the tests and say what came of them."""
    channel = Channel(job["longest"])
    confine(job)
    candidate = Candidate(channel)
    status, why = _tested(job, candidate)
    channel.send({"verdict": status, "why": why})


def _tested(job: dict[str, Any], candidate: Candidate) -> tuple[str, str | None]:
    module = type(sys)("tests")
    sys.modules["tests"] = module
    names = module.__dict__
    try:
        exec(compile(job["setup"], "<setup>", "exec"), names)
        tests = compile(job["tests"], "<tests>", "exec")
    except BaseException as error:
        return "sandbox_error", f"the task's own tests cannot be set up: {_short(repr(error))}"
    for name in job["calls"]:
        names[name] = candidate.function(name)
    return outcome_of(lambda: _run(candidate, tests, names), job["tests"], candidate)


def _run(candidate: Candidate, tests: Any, names: dict[str, Any]) -> None:
    candidate.loaded()
    exec(tests, names)


def outcome_of(run: Any, source: str, candidate: Candidate | None = None) -> tuple[str, str | None]:
    """Status and explanation of tests that pass by not raising."""
    try:
        run()
    except Ended as ended:
        return ended.status, str(ended)
    except AssertionError as error:
        said = [_line_of(error, source), _short(str(error)) or None, candidate.last if candidate else None]
        return "fail", _short("; ".join(part for part in said if part)) or "an assertion does not hold"
    except MemoryError:
        return "memory", "MemoryError"
    except BaseException as error:
        told = getattr(error, "from_candidate", None)
        line = _line_of(error, source)
        what = told if told is not None else f"{type(error).__name__}: {_short(str(error))}"
        return "error" if told is not None else "fail", _short(what + (" in " + line if line else ""))
    return "pass", None


def _line_of(error: BaseException, source: str) -> str | None:
    """The line of the tests that raised."""
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = source.splitlines()
    return lines[number - 1].strip() if number is not None and number <= len(lines) else None


def _shown(value: Any) -> str:
    try:
        return _short(repr(value), 200)
    except ValueError:  # a whole number of thousands of digits
        return "a value too long to show"


def _short(text: str, longest: int = _LONGEST_EXPLANATION) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
