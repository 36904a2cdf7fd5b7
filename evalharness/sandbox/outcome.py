"""What a program may use, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "fail", "error", "timeout", "memory", "output_limit", "sandbox_error"]
"""``pass``: it ran to its end, and its tests hold. ``fail``: a test does not hold. ``error``: it raised, could not be
compiled or ended early. ``sandbox_error``: the box itself failed, which says nothing of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may use."""

    seconds: float = 3.0
    """Of wall-clock time, from when the interpreter is ready; of processor time as much and one second."""
    memory: int = 1 << 30
    """Bytes of address space of each process."""
    output: int = 1 << 20
    """Bytes that it may print, standard output and standard error each, and bytes of each value that it hands over."""
    disk: int = 0
    """Bytes of files in its folder /tmp; 0 leaves nothing writable at all."""
    processes: int = 0
    """Where it is not 0, the program may start others, so many at a time, threads included. Each has `memory`."""

    def __post_init__(self) -> None:
        if not (0 < self.seconds < 1e6 and 0 < self.memory < 1 << 50 and min(self.output, self.disk + 1) > 0):
            raise ValueError(f"these limits bound nothing: {self}")


LIMITS = Limits()
"""What a program may use unless something else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one program."""

    status: Status
    explanation: str | None = None
    """One line: the assertion that does not hold, the exception, the limit that was reached."""
    stdout: str = ""
    stderr: str = ""
    value: Any = None
    """What the last expression of a session's code was worth, as ``repr`` gives it; None elsewhere."""
    seconds: float = 0.0
    """From when the interpreter was ready."""
    level: str = ""
    """The isolation it ran under."""
    in_box: bool = False
    """Whether the tests ran in the program's own process, where it could have meddled with them."""
