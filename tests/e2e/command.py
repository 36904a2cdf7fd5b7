"""The command as a user types it, in this process or in one of its own."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalharness.cli.main import main

CLONE = Path(__file__).parents[2]
PATIENCE = 120
"""Seconds after which a process that has not come to what a test waits for counts as hung."""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *fragments: str) -> str:
        """The one sentence on standard error, after checking that there is nothing else and what it says."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("evalharness: ")
        sentence = lines[0].removeprefix("evalharness: ")
        for fragment in fragments:
            assert fragment in sentence, sentence
        assert self.code == code
        return sentence

    def done(self) -> Said:
        assert self.code == 0, self.err
        return self


def said(*arguments: object) -> Said:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return Said(int(left.value.code or 0), out.getvalue(), err.getvalue())


class Process:
    """The command in a process of its own, in `folder`; more folders on its path by `path`."""

    def __init__(
        self, folder: Path, *arguments: object, path: tuple[Path, ...] = (), largest_file: int | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evalharness", *map(str, arguments)],
            cwd=folder,
            env=environment(path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _prepare(largest_file),
        )

    def wait(self) -> Said:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Said(self.process.returncode, out, err)

    def when(self, reached: Callable[[], bool], number: signal.Signals) -> Said:
        """Send a signal once `reached`, then wait for the end. The end before that is fine as well."""
        give_up = time.monotonic() + PATIENCE
        while not reached() and self.process.poll() is None:
            if time.monotonic() > give_up:
                self.process.kill()
                raise AssertionError(f"nothing came of it: {self.wait()}")
            time.sleep(0.005)
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()


def environment(path: tuple[Path, ...] = (), **changes: str) -> Mapping[str, str]:
    """This process's, with the clone, the tests' helpers and `path` where Python looks for modules."""
    places = os.pathsep.join(map(str, (*path, CLONE, CLONE / "tests")))
    return os.environ | {"PYTHONPATH": places, "NO_COLOR": "1", "COLUMNS": "200"} | changes


def _prepare(largest_file: int | None) -> None:
    # A process that was started in the background of a shell inherits a deaf ear for Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))


def lines_in(path: Path) -> int:
    """Whole lines of a file, 0 while there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0
