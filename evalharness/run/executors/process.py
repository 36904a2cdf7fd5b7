"""Workers as processes of this machine, a model each; no dependency.

Where there are several GPUs, worker k sees the k-th alone; on a processor the cores are shared out.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import glob
from multiprocessing import connection, get_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from evalharness.errors import EvalHarnessError, ServiceError
from evalharness.run.executors.pool import Answered, Died, Event, Finished, NotStarted, Ready
from evalharness.run.options import RunOptions
from evalharness.types import Request, Result, Ticket

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

FAREWELL = 5.0
"""Seconds that workers have to end when they are told to."""


def devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; looks at files, loads no driver."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name for name in told.split(",") if name.strip()]
    return [str(number) for number in range(len(glob("/dev/nvidia[0-9]*")))]


def default_workers() -> int:
    """A worker for each GPU, or for each core."""
    return len(devices()) or _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessPool:
    """A `Pool` of processes that are spawned, so that none inherits a thread or a device."""

    def __init__(self, spec: str, options: RunOptions, workers: int) -> None:
        self.workers = workers
        self._spec = spec
        self._options = options
        self._processes: dict[int, BaseProcess] = {}
        self._pipes: dict[int, Connection] = {}

    def start(self, worker: int) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve,
            args=(theirs, self._spec, self._options.model_dump_json(), _environment(worker, self.workers)),
            name=f"evalharness worker {worker}",
            daemon=True,
        )
        process.start()
        theirs.close()  # so that the end of the process closes the pipe
        self._processes[worker], self._pipes[worker] = process, ours

    def send(self, worker: int, chunk: int, requests: Sequence[Request], *, more: bool) -> None:
        try:
            self._pipes[worker].send((chunk, requests, more))
        except OSError:
            return  # it has died, which `poll` says

    def poll(self, seconds: float) -> list[Event]:
        events: list[Event] = []
        by_pipe = {id(pipe): worker for worker, pipe in self._pipes.items()}
        for pipe in connection.wait(list(self._pipes.values()), timeout=seconds):
            worker = by_pipe[id(pipe)]
            try:
                while self._pipes[worker].poll():
                    events.append(_event(worker, self._pipes[worker].recv()))
            except (EOFError, OSError):
                events.append(Died(worker, self._buried(worker)))
        return events

    def close(self) -> None:
        for worker in self._pipes:
            try:
                self._pipes[worker].send(None)
            except OSError:
                continue
        until = time.monotonic() + FAREWELL
        for process in self._processes.values():
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self._pipes.values():
            pipe.close()
        self._processes, self._pipes = {}, {}

    def _buried(self, worker: int) -> str:
        """Take a dead worker away and say how it ended."""
        self._pipes.pop(worker).close()
        process = self._processes.pop(worker)
        process.join(FAREWELL)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        if code is not None and code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with code {code}"


def _event(worker: int, told: tuple[Any, ...]) -> Event:
    kind, *rest = told
    if kind == "ready":
        return Ready(worker)
    if kind == "not started":
        return NotStarted(worker, rest[0])
    if kind == "answered":
        return Answered(worker, *rest)
    return Finished(worker, *rest)


def _environment(worker: int, workers: int) -> dict[str, str]:
    """What a worker's environment says otherwise than the driver's."""
    gpus = devices()
    if gpus:
        return {"CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]}
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, _cores() // workers))}


# --------------------------------------------------------------------------- in the worker


def serve(pipe: Connection, spec: str, options: str, environment: dict[str, str]) -> None:
    """Answer chunks until told to end, or until the driver is gone."""
    from evalharness.run.models import load_in_worker
    from evalharness.run.runner import engine_report

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, who then tells us
    os.environ |= environment  # before torch is imported, which reads it once
    mouth = _Mouth(pipe)
    try:
        backend = load_in_worker(spec, options)
    except Exception as error:
        mouth.say("not started", portable(error))
        return
    mouth.say("ready")
    ears = _Ears(pipe)
    while (tickets := ears.next_chunk(mouth)) is not None:
        wave = _WorkerWave(tickets, ears, mouth)
        left: Exception = ServiceError("a worker's backend returned without answering every request.")
        try:
            backend.answer(wave)
        except Exception as raised:
            left = raised
        for ticket in wave.taken:
            ticket.fail(left)  # which says nothing of those that are answered
        for chunk in ears.finished():
            mouth.say("finished", chunk, engine_report(backend)[0])
    backend.close()


class _Mouth:
    """Says things to the driver, from any thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def say(self, *told: Any) -> None:
        with self._lock, suppress(OSError):  # nobody listens any more
            self._pipe.send(told)


class _Ears:
    """Hears of chunks, and keeps count of what they wait for.

    A thread of its own takes them from the pipe as they come: a driver that had to wait until this worker reads would
    not read what the worker says, and with both pipes full each would wait for the other.
    """

    def __init__(self, pipe: Connection) -> None:
        self._heard: SimpleQueue[tuple[int, Sequence[Request], bool] | None] = SimpleQueue()
        self._open: list[int] = []
        """Chunks taken in and not yet reported as finished."""
        self.more = False
        self.told_to_end = False
        """Heard at once, also in the middle of a chunk: nobody waits for its answers any more."""
        self._ended = False
        threading.Thread(target=self._listen, args=(pipe,), name="chunks", daemon=True).start()

    def next_chunk(self, mouth: _Mouth) -> list[Ticket] | None:
        """Wait for a chunk; None when it is time to end."""
        return None if self._ended else self._tickets(self._heard.get(), mouth)

    def waiting(self, seconds: float, mouth: _Mouth) -> list[Ticket]:
        """The tickets of a chunk that has come meanwhile, if one has."""
        if self._ended:
            return []
        try:
            message = self._heard.get(timeout=seconds) if seconds else self._heard.get_nowait()
        except Empty:
            return []
        return self._tickets(message, mouth) or []

    def finished(self) -> list[int]:
        told, self._open = self._open, []
        return told

    def _listen(self, pipe: Connection) -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                message = None  # the driver is gone
            self.told_to_end = message is None
            self._heard.put(message)
            if message is None:
                return

    def _tickets(self, message: tuple[int, Sequence[Request], bool] | None, mouth: _Mouth) -> list[Ticket] | None:
        if message is None:
            self._ended = True
            return None
        chunk, requests, self.more = message
        self._open.append(chunk)
        return [_WorkerTicket(request, chunk, place, mouth, self) for place, request in enumerate(requests)]


class _WorkerTicket:
    """A request in a worker; its answer goes to the driver."""

    __slots__ = ("_answered", "_chunk", "_ears", "_mouth", "_place", "request")

    def __init__(self, request: Request, chunk: int, place: int, mouth: _Mouth, ears: _Ears) -> None:
        self.request = request
        self._chunk, self._place, self._mouth, self._ears = chunk, place, mouth, ears
        self._answered = False

    @property
    def cancelled(self) -> bool:
        return self._ears.told_to_end

    def begin(self) -> None:
        """The driver's clock runs from when it sent the chunk."""

    def resolve(self, result: Result) -> None:
        self._say(result)

    def fail(self, error: Exception) -> None:
        self._say(portable(error))

    def _say(self, outcome: Result | Exception) -> None:
        if not self._answered:
            self._answered = True
            self._mouth.say("answered", self._chunk, self._place, outcome)


class _WorkerWave:
    """A chunk, and the chunks that come while it is being answered."""

    def __init__(self, tickets: list[Ticket], ears: _Ears, mouth: _Mouth) -> None:
        self.taken = list(tickets)
        self._first = len(tickets)
        self._ears = ears
        self._mouth = mouth

    def __len__(self) -> int:
        return self._first

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self.taken[: self._first])

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        late = self._ears.waiting(wait, self._mouth)
        self.taken += late
        return late

    def more(self) -> bool:
        return self._ears.more


def portable(error: Exception) -> Exception:
    """An error that another process can read: one of ours, or a sentence in place of another library's."""
    if isinstance(error, EvalHarnessError):
        return type(error)(str(error))
    return ServiceError(f"a worker failed: {type(error).__name__}: {error}")
