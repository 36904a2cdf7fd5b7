"""A candidate's functions, called from another box. What they return is sent as plain data."""

from __future__ import annotations

import sys
from typing import Any

from evalharness.sandbox.inside.channel import Channel, TooLong
from evalharness.sandbox.inside.confine import confine
from evalharness.sandbox.inside.plain import NotPlain


def main(job: dict[str, Any]) -> None:
    """Load the candidate, say whether that worked, and answer calls until nobody calls."""
    channel = Channel(job["longest"])
    confine(job)
    module = type(sys)("candidate")
    sys.modules["candidate"] = module
    try:
        exec(compile(job["source"], "<candidate>", "exec"), module.__dict__)
    except BaseException as error:
        channel.send({"raised": said_of(error)})
        return
    channel.send({"loaded": True})
    while True:
        try:
            call = channel.receive()
        except EOFError:
            return
        answer_call(channel, module, call)


def answer_call(channel: Channel, module: Any, call: dict[str, Any]) -> None:
    """Make one call and send what came of it."""
    try:
        function = module.__dict__.get(call["call"])
        if function is None:
            raise NameError(f"name {call['call']!r} is not defined")
        channel.send({"value": function(*call["args"], **call["kwargs"])})
    except NotPlain as error:
        channel.send({"refused": f"returned {error}, which is no plain data"})
    except TooLong as error:
        channel.send({"too_long": f"returned {error}"})
    except BaseException as error:
        channel.send({"raised": said_of(error)})


def said_of(error: BaseException) -> list[Any]:
    """Class and words of an exception, and its nearest built-in class."""
    try:
        words = str(error)[:2000]
    except BaseException:
        words = ""
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return [type(error).__name__[:200], words, known]
