"""Processes in boxes: their pipes, their clock, their end."""

from __future__ import annotations

import marshal
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from evalharness.sandbox.inside.confine import READY
from evalharness.sandbox.levels import Launch, inside

Reason = Literal["done", "timeout", "output_limit", "never ready"]
"""Why `watch` returned: what was waited for is there (or everything has ended), or a limit was reached."""

STARTING = 60.0
"""Seconds in which a box must be ready: this waits for the machine, not for the program."""
DYING = 10.0
_CHUNK = 1 << 16


class Box:
    """One process, started, with what it prints. A context manager: nothing of it is left afterwards."""

    def __init__(self, launch: Launch, modules: Sequence[str], job: dict[str, Any], longest: int) -> None:
        """
        Args:
            modules: of `inside/`, in the order in which they import each other; the last one is the main one.
            job: what the main module is told, beside what the launch says.
            longest: bytes that it may print, on standard output and standard error each, or in a line of messages.

        Raises:
            OSError: the process cannot be started.
        """
        self._launch = launch
        self._longest = longest
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.on_line: Callable[[bytes], None] | None = None
        """Takes the lines of standard output, which are collected where it is None."""
        self.on_end: Callable[[], None] | None = None
        """Called once, when standard output has ended."""
        self.ready = False
        self.too_long = False
        """Whether it printed more than it may."""
        self._line = bytearray()
        self._outgoing = bytearray()
        self._closing = False
        drop: dict[str, Any] = {}
        if launch.user is not None:
            drop = {"user": launch.user, "group": launch.user, "extra_groups": ()}
        try:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(launch.environment),
                cwd=launch.folder,
                pass_fds=launch.descriptors,
                start_new_session=True,
                bufsize=0,
                **drop,
            )
        finally:
            for descriptor in launch.descriptors:
                os.close(descriptor)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        told = {
            **launch.job,
            **job,
            "filter": launch.filter(self.process.pid) if launch.filter else None,
            "modules": [(f"evalharness.sandbox.inside.{name}", inside(name)) for name in modules],
            "main": f"evalharness.sandbox.inside.{modules[-1]}",
        }
        data = marshal.dumps(told, 2)
        self.send(b"%08x" % len(data) + data)

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def send(self, data: bytes) -> None:
        """Give it bytes; `watch` writes them as it takes them."""
        self._outgoing += data

    def close_input(self) -> None:
        """End its standard input, once all that was sent is written."""
        self._closing = True

    @property
    def said(self) -> str:
        """What it printed on standard error, as text."""
        return self.stderr.decode(errors="replace")

    @property
    def status(self) -> int | None:
        """Exit status; above 128 also what a signal ended, as a shell says it. None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float) -> bool:
        """Whether it ends by itself within so many seconds: a process can close its pipes and stay."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(seconds, 0.0))
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Signal the processes of the box, not what stands before them."""
        for pid in _descendants(self.process.pid) or [self.process.pid]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it, whatever it does, and wait until nothing holds its pipes.

        Bubblewrap's child dies with it only once it has asked for that, so it is held while its children are ended.
        """
        if self.process.poll() is None and _stopped(self.process.pid):
            self.signal(signal.SIGKILL)
        with suppress(ProcessLookupError):
            self.process.kill()
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        if self._launch.ending:
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(self._launch.ending, capture_output=True, timeout=DYING, check=False)
        self.process.wait()
        self._await_end_of_pipes()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _await_end_of_pipes(self) -> None:
        """Bubblewrap's outer process dies before what it holds: the pipe ends with the last of them."""
        assert self.process.stdout is not None
        ends = time.monotonic() + DYING
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (left := ends - time.monotonic()) > 0 and selector.select(left):
                try:
                    if not self.process.stdout.read(_CHUNK):
                        return
                except OSError:
                    return

    # ----------------------------------------------------------------------- called by `watch`

    def register(self, selector: selectors.BaseSelector) -> None:
        for pipe, take in ((self.process.stdout, self._take_output), (self.process.stderr, self._take_errors)):
            assert pipe is not None
            if not pipe.closed:
                selector.register(pipe, selectors.EVENT_READ, take)

    def wants_to_write(self) -> bool:
        assert self.process.stdin is not None
        return not self.process.stdin.closed and (bool(self._outgoing) or self._closing)

    def write(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        try:
            while self._outgoing:
                written = pipe.write(self._outgoing[:_CHUNK])
                if not written:
                    return
                del self._outgoing[:written]
        except BlockingIOError:
            return
        except OSError:  # it is gone, or has closed its input: what it does not read it does not miss
            self._outgoing.clear()
            self._closing = True
        if self._closing:
            with suppress(OSError):
                pipe.close()

    def _take_output(self, data: bytes) -> None:
        if not data:
            if self.on_end:
                self.on_end()
            return
        if self.on_line is None:
            self.stdout += data
            self.too_long |= len(self.stdout) > self._longest
            return
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[: end + 1])
            del self._line[: end + 1]
            self.on_line(line)
        self.too_long |= len(self._line) > self._longest

    def _take_errors(self, data: bytes) -> None:
        self.stderr += data
        if not self.ready and READY in self.stderr:
            self.ready = True
            del self.stderr[: self.stderr.index(READY) + len(READY)]
        self.too_long |= len(self.stderr) > self._longest


def _descendants(pid: int) -> list[int]:
    """A process's children, and theirs: of bubblewrap its second process, whose end ends the box, and the program."""
    children: list[int] = []
    with suppress(OSError, ValueError):
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [below for child in children for below in _descendants(child)]


def _stopped(pid: int) -> bool:
    """Whether a process stands still: from then on it starts nothing."""
    with suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        for _ in range(200):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state in "TtZX":
                return True
            time.sleep(0.001)
    return False


def watch(boxes: Sequence[Box], seconds: float, done: Callable[[], bool]) -> tuple[Reason, float]:
    """Carry bytes between the boxes and here until `done`, until all of them have ended, or until a limit is reached.

    Returns:
        Why it returned, and the seconds since the last of the boxes was ready.
    """
    started = time.monotonic()
    ready: float | None = None
    with selectors.DefaultSelector() as selector:
        for box in boxes:
            box.register(selector)
        while True:
            now = time.monotonic()
            if ready is None and all(box.ready for box in boxes):
                ready = now
            passed = 0.0 if ready is None else now - ready
            if ready is not None and done():
                return "done", passed
            if any(box.too_long for box in boxes):
                return "output_limit", passed
            left = STARTING - (now - started) if ready is None else seconds - passed
            if left <= 0:
                return ("never ready" if ready is None else "timeout"), passed
            if not selector.get_map():
                return "done", passed
            _carry(boxes, selector, left)


def _carry(boxes: Sequence[Box], selector: selectors.BaseSelector, left: float) -> None:
    """One turn: write what is to be written, read what is there."""
    full = False
    for box in boxes:
        if box.wants_to_write():
            box.write()
            full |= box.wants_to_write()
    # A pipe that is full now is tried again soon; its reader gets on meanwhile.
    for key, _ in selector.select(min(left, 0.002) if full else left):
        pipe: Any = key.fileobj
        try:
            data = pipe.read(_CHUNK)
        except OSError:
            data = b""
        if data is None:
            continue
        if not data:
            selector.unregister(pipe)
        key.data(data)
