"""What a level holds on this machine, found out by programs that reach for what they must not get."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from evalharness.errors import ServiceError
from evalharness.sandbox.choose import trouble
from evalharness.sandbox.interpreter import Interpreter, find_interpreter
from evalharness.sandbox.levels import Bubblewrap, Container, Landlock, Level
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.sandbox import Sandbox

_LIMITS = Limits(seconds=1.0, memory=256 << 20, output=100_000)

PROBES: dict[str, str] = {
    "network": "import socket\nsocket.socket().connect(('127.0.0.1', 9))",
    "reading": "open('@FOLDER@/secret').read()",
    "writing": "open('@FOLDER@/written', 'w').write('x')",
    "processes": "import os\nif os.fork() == 0: os._exit(0)",
    "memory": "bytearray(1 << 30)",
    "debugger": "import ctypes\nif ctypes.CDLL(None).ptrace(0, 0, 0, 0): raise PermissionError('ptrace is refused')",
    "time": "while True: pass",
    "output": "while True: print('x' * 1000)",
}
"""By what is reached for. Each program ends well only where it gets it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one level makes of one program."""

    probe: str
    held: bool
    what: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A level on this machine."""

    level: str
    missing: str | None
    """Why it does not work here."""
    findings: tuple[Finding, ...] = ()

    @property
    def works(self) -> bool:
        return self.missing is None and all(finding.held for finding in self.findings)


def try_levels(image: str | None = None, python: str | None = None) -> Iterator[Tried]:
    """Every isolated level, tried here."""
    levels: list[Level] = [Bubblewrap(), Landlock(), Container(image)]
    try:
        interpreter = find_interpreter(python)
    except ServiceError as error:
        yield from (Tried(level.name, str(error)) for level in levels)
        return
    yield from (_tried(level, interpreter) for level in levels)


def _tried(level: Level, interpreter: Interpreter) -> Tried:
    sandbox = Sandbox(level, interpreter)
    missing = level.missing() or trouble(sandbox)
    if missing is not None:
        return Tried(level.name, missing)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        (Path(folder) / "secret").write_text("of this machine")
        probes = {probe: source.replace("@FOLDER@", folder) for probe, source in PROBES.items()}
        return Tried(level.name, None, tuple(_finding(sandbox, probe, source) for probe, source in probes.items()))


def _finding(sandbox: Sandbox, probe: str, source: str) -> Finding:
    limits = replace(_LIMITS, seconds=0.5) if probe == "time" else _LIMITS
    outcome = sandbox.run(source, limits=limits)
    # Nobody listens where the network probe knocks: being turned away there means that it was there.
    reached = outcome.status == "pass" or "ConnectionRefused" in (outcome.explanation or "")
    return Finding(probe, not reached, outcome.explanation or outcome.status)
