"""The tests, in a box of their own: they call the candidate through a pipe and compare plain data here."""

from __future__ import annotations

import _thread
import builtins
import sys

from evalharness.sandbox.inside.channel import Channel, TooLong
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.plain import NotPlain, decoded, encoded

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any

_LONGEST_EXPLANATION = 600
_NONSENSE = "the program wrote something else where its answer belongs"


class Ended(BaseException):
    """The candidate cannot go on. Tests that catch Exception do not catch it; those that catch everything hide nothing,
    as the first one is kept."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = short(why)


class Candidate:
    """The other box, as the tests see it: functions."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._calls = 0
        self._one_at_a_time = _thread.allocate_lock()
        self.ended: Ended | None = None
        self.last: str | None = None
        """What came of the last call, for the explanation."""

    def loaded(self) -> None:
        """Wait until the candidate is there.

        Raises:
            Ended: it cannot be loaded.
        """
        answer = self._answer()
        if "raised" in answer:
            raised = Raised(answer["raised"])
            raise self._end("memory" if raised.memory else "error", raised.text)

    def function(self, name: str) -> Any:
        """A function that calls the candidate's of this name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._one_at_a_time:
                self._send(name, args, kwargs)
                answer = self._answer()
            return self._value(answer)

        call.__name__ = call.__qualname__ = name
        return call

    def _end(self, status: str, why: str) -> Ended:
        self.ended = self.ended or Ended(status, why)
        return self.ended

    def _send(self, name: str, args: Any, kwargs: Any) -> None:
        self._calls += 1
        try:
            self._channel.send(call=self._calls, name=name, args=encoded(list(args)), kwargs=encoded(kwargs))
        except (NotPlain, TooLong) as error:
            # What a candidate returned may come back to it as an argument: only a first call is the tests' own fault.
            status = "sandbox_error" if self._calls == 1 else "error"
            why = f"the tests hand {error} to {name}, which cannot leave their box; they need in_box"
            raise self._end(status, why) from None

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._channel.receive()
        except EOFError:
            raise self._end("ended", "the program ended before its tests did") from None
        except ValueError:
            raise self._end("error", _NONSENSE) from None
        if answer.get("answer") != self._calls:
            raise self._end("error", _NONSENSE)
        return answer

    def _value(self, answer: dict[str, Any]) -> Any:
        if "value" in answer:
            try:
                value = decoded(answer["value"])
            except ValueError:
                raise self._end("error", _NONSENSE) from None
            self.last = f"the last call returned {shown(value)}"
            return value
        if "too_long" in answer:
            raise self._end("output_limit", str(answer["too_long"]))
        if "refused" in answer:
            raise self._end("error", str(answer["refused"]))
        raised = Raised(answer.get("raised"))
        if raised.memory:
            raise self._end("memory", "MemoryError")
        error = raised.made()
        if error is None:
            raise self._end("error", raised.text)
        raise error


class Raised:
    """An exception that the candidate raised."""

    def __init__(self, told: Any) -> None:
        told = told if isinstance(told, dict) else {}
        kinds = told.get("kinds")
        self._kinds = [kind for kind in kinds if isinstance(kind, str)] if isinstance(kinds, list) else []
        self._words, self._args = str(told.get("words")), told.get("args")
        self.text = short(f"{told.get('name')}: {self._words}")

    @property
    def memory(self) -> bool:
        return "MemoryError" in self._kinds

    def made(self) -> Exception | None:
        """The exception as the tests may catch it: of the first built-in class that can be made of the same parts.

        An exhausted iterator would end a loop of the tests instead of failing them; it becomes a RuntimeError, as in
        generators (PEP 479).
        """
        try:
            parts = decoded(self._args)
        except ValueError:
            parts = None
        for name in ["RuntimeError"] if {"StopIteration", "StopAsyncIteration"} & {*self._kinds} else self._kinds:
            kind = getattr(builtins, name, None)
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                continue
            for made_of in (parts if isinstance(parts, list) else [self._words], [self._words]):
                try:
                    error = kind(*made_of)
                except Exception:
                    continue
                error.from_candidate = self.text  # type: ignore[attr-defined]
                return error
        return None


def main(job: dict[str, Any]) -> None:
    """Run the tests and say what came of them."""
    channel = Channel(job["longest"], printed_to_errors=False)
    confine(job)
    candidate = Candidate(channel)
    status, why = _tested(job, candidate)
    channel.send(verdict=status, why=why)


def _tested(job: dict[str, Any], candidate: Candidate) -> tuple[str, str | None]:
    module = type(sys)("tests")
    sys.modules["tests"] = module
    names = module.__dict__
    try:
        exec(compile(job["setup"], "<setup>", "exec", dont_inherit=True), names)
        tests = compile(job["tests"], "<tests>", "exec", dont_inherit=True)
    except BaseException as error:
        return "sandbox_error", f"the task's own tests cannot be set up: {short(repr(error))}"
    for name in job["calls"]:
        names[name] = candidate.function(name)

    def run() -> None:
        candidate.loaded()
        exec(tests, names)

    return outcome_of(run, job["tests"], candidate)


def outcome_of(run: Any, source: str, candidate: Candidate | None = None) -> tuple[str, str | None]:
    """Status and explanation of tests that pass by not raising. Never raises."""
    raised: BaseException | None = None
    try:
        run()
    except BaseException as error:
        raised = error
    if candidate is not None and candidate.ended is not None:
        return candidate.ended.status, candidate.ended.why
    if raised is None:
        return "pass", None
    line = _line_of(raised, source)
    if isinstance(raised, AssertionError) and not hasattr(raised, "from_candidate"):
        said = [line, words_of(raised) or None, candidate.last if candidate else None]
        return "fail", short("; ".join(part for part in said if part)) or "an assertion does not hold"
    if isinstance(raised, MemoryError):
        return "memory", "MemoryError"
    told = getattr(raised, "from_candidate", None)
    what = told if told is not None else f"{type(raised).__name__}: {words_of(raised)}"
    return "error" if told is not None else "fail", short(what + (" in " + line if line else ""))


def _line_of(error: BaseException, source: str) -> str | None:
    """The line of the tests that raised."""
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = source.splitlines()
    return lines[number - 1].strip() if number is not None and number <= len(lines) else None


def words_of(error: BaseException) -> str:
    """What an exception says, where it can say it: a whole number of thousands of digits has no text."""
    try:
        return short(str(error))
    except Exception:
        return ""


def shown(value: Any) -> str:
    try:
        return short(repr(value), 200)
    except Exception:
        return "a value too long to show"


def short(text: str, longest: int = _LONGEST_EXPLANATION) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
