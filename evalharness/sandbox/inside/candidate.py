"""A candidate's functions, called from another box. What they return is sent as plain data."""

from __future__ import annotations

import sys

from evalharness.sandbox.inside.channel import Channel, TooLong
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.plain import NotPlain, decoded, encoded

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any


def main(job: dict[str, Any]) -> None:
    """Load the candidate, say whether that worked, and answer calls until nobody calls."""
    channel = Channel(job["longest"])
    confine(job)
    module = type(sys)("candidate")
    sys.modules["candidate"] = module
    try:
        exec(compile(job["source"], "<candidate>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        channel.send(answer=0, raised=said_of(error))
        return
    channel.send(answer=0, loaded=True)
    while True:
        try:
            call = channel.receive()
        except EOFError:
            return
        answer_call(channel, module, call)


def answer_call(channel: Channel, module: Any, call: dict[str, Any]) -> None:
    """Make one call and send what came of it."""
    number = call["call"]
    try:
        function = module.__dict__.get(call["name"])
        if function is None:
            raise NameError(f"name {call['name']!r} is not defined")
        value = encoded(function(*decoded(call["args"]), **decoded(call["kwargs"])))
        _flush()
        channel.send(answer=number, value=value)
    except NotPlain as error:
        channel.send(answer=number, refused=f"returned {error}, which is no plain data")
    except TooLong as error:
        channel.send(answer=number, too_long=f"returned {error}")
    except BaseException as error:
        channel.send(answer=number, raised=said_of(error))


def _flush() -> None:
    """Let go of what was printed: it is shown even though the box is ended."""
    try:
        sys.stdout.flush()
    except Exception:
        return


def said_of(error: BaseException) -> dict[str, Any]:
    """An exception: class, words, the built-in classes that it extends, and what it was made of where that is data."""
    try:
        words = str(error)[:2000]
    except BaseException:
        words = ""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    try:
        made_of = encoded(list(error.args))
    except BaseException:
        made_of = None
    return {"name": type(error).__name__[:200], "words": words, "kinds": kinds, "args": made_of}
