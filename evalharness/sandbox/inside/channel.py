"""The line between a box and the harness: standard input and output, moved out of the program's sight.

A message is one line of JSON, an object whose keys are all known. Values of a program travel in it as `plain` encodes
them, and only boxes decode them: the harness reads the keys, and no value.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any


class TooLong(Exception):
    """A message is longer than the limit."""


class Channel:
    """Messages, in and out. From when it is made, what the process prints goes elsewhere."""

    def __init__(self, longest: int, *, printed_to_errors: bool = True) -> None:
        """
        Args:
            longest: bytes of a message.
            printed_to_errors: standard output becomes standard error; else it is thrown away.
        """
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.dup(1)
        self._longest = longest
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(2 if printed_to_errors else nothing, 1)
        os.close(nothing)

    def send(self, **message: Any) -> None:
        """Send one message.

        Raises:
            TooLong: it is longer than the limit.
        """
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if len(line) > self._longest:
            raise TooLong(f"a value of more than {self._longest} bytes")
        view = memoryview(line)
        while view:
            view = view[os.write(self._out, view) :]

    def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            EOFError: the other side is gone.
            ValueError: the line is no message.
        """
        line = self._in.readline()
        if not line:
            raise EOFError
        try:
            message = json.loads(line)
        except RecursionError:
            message = None
        if not isinstance(message, dict):
            raise ValueError("no message")
        return message
