"""The line between a box and the harness: standard input and output, moved out of the program's sight."""

from __future__ import annotations

import os
from typing import Any

from evalharness.sandbox.inside.plain import dumps, loads


class TooLong(Exception):
    """A message is longer than the limit."""


class Channel:
    """Lines of plain data, in and out. From when it is made, what the process prints goes to standard error."""

    def __init__(self, longest: int) -> None:
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.dup(1)
        self._longest = longest
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def send(self, message: Any) -> None:
        """Send one message.

        Raises:
            NotPlain: it cannot be said in plain data.
            TooLong: it is longer than the limit.
        """
        line = dumps(message).encode() + b"\n"
        if len(line) > self._longest:
            raise TooLong(f"a value of more than {self._longest} bytes")
        view = memoryview(line)
        while view:
            view = view[os.write(self._out, view) :]

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError: the other side is gone.
            ValueError: the line is no message.
        """
        line = self._in.readline()
        if not line:
            raise EOFError
        return loads(line)
