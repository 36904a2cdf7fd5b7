"""Workers as actors of a Ray cluster, one for each device, on as many machines as the cluster has.

Ray starts the actors and carries chunks; what is tried again, and how often, is decided by `workers.Workers` alone:
Ray's own retries would send a request that kills its worker to the next one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from evalharness.errors import ServiceError
from evalharness.run.executors.pool import Answered, Died, Event, Finished, NotStarted, Ready
from evalharness.run.executors.process import portable
from evalharness.run.options import RunOptions
from evalharness.types import Request, Result, Ticket


class RayPool:
    """A `Pool` of actors.

    Args:
        workers: how many; None is one for each GPU of the cluster, or for each core where it has none.
        address: the cluster's, as ``ray.init`` takes it; None starts Ray on this machine.

    Raises:
        ServiceError: ray is not installed, or no cluster answers.
    """

    def __init__(self, spec: str, options: RunOptions, workers: int | None, address: str | None) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise ServiceError("--executor ray: ray is not installed: pip install 'evalharness[ray]'") from None
        self._ray: Any = ray
        self._spec = spec
        self._options = options.model_dump_json()
        self._ours = not ray.is_initialized()
        if self._ours:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            local = {} if address else {"include_dashboard": False}
            try:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ServiceError(f"--ray-address {address}: no cluster answers ({error}).") from None
        found = ray.cluster_resources()
        gpus, cores = int(found.get("GPU", 0)), int(found.get("CPU", 1))
        self.workers = workers or gpus or cores
        self._needs = {"num_gpus": 1} if gpus else {"num_cpus": max(1, cores // self.workers)}
        self._threads = max(1, cores // self.workers)
        self._actors: dict[int, Any] = {}
        self._answers: dict[Any, tuple[int, int]] = {}
        """By reference: worker and chunk; chunk 0 is the loading of the model."""

    def start(self, worker: int) -> None:
        actor = self._ray.remote(max_restarts=0, max_task_retries=0, **self._needs)(Actor)
        self._actors[worker] = actor.remote(self._spec, self._options, self._threads)
        self._answers[self._actors[worker].load.remote()] = (worker, 0)

    def send(self, worker: int, chunk: int, requests: Sequence[Request], *, more: bool) -> None:
        self._answers[self._actors[worker].answer.remote(list(requests), more)] = (worker, chunk)

    def poll(self, seconds: float) -> list[Event]:
        if not self._answers:
            return []
        done, _ = self._ray.wait(list(self._answers), num_returns=1, timeout=seconds)
        events: list[Event] = []
        for reference in done:
            worker, chunk = self._answers.pop(reference, (-1, 0))
            if worker < 0:
                continue  # its worker was buried with another reference of this list
            try:
                told = self._ray.get(reference)
            except self._ray.exceptions.RayActorError as error:
                events.append(Died(worker, _reason(error)))
                self._answers = {other: held for other, held in self._answers.items() if held[0] != worker}
                continue
            if chunk == 0:
                events.append(Ready(worker) if told is None else NotStarted(worker, told))
                continue
            outcomes, report = told
            events += [Answered(worker, chunk, place, outcome) for place, outcome in enumerate(outcomes)]
            events.append(Finished(worker, chunk, report))
        return events

    def close(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors, self._answers = {}, {}
        if self._ours:
            self._ray.shutdown()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


class Actor:
    """One worker of a cluster."""

    def __init__(self, spec: str, options: str, threads: int) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        self._spec = spec
        self._options = options
        self._backend: Any = None

    def load(self) -> Exception | None:
        """Load the model; the error, where that fails."""
        from evalharness.run.models import load_in_worker

        try:
            self._backend = load_in_worker(self._spec, self._options)
        except Exception as error:
            return portable(error)
        return None

    def answer(self, requests: list[Request], more: bool) -> tuple[list[Result | Exception], dict[str, float]]:
        """The outcomes of a chunk, in order, and what the engine counted."""
        from evalharness.run.runner import engine_report

        tickets = [_Held(request) for request in requests]
        error: Exception = ServiceError("a worker's backend returned without answering every request.")
        try:
            self._backend.answer(_ActorWave(tickets, more))
        except Exception as raised:
            error = portable(raised)
        outcomes = [error if ticket.outcome is None else ticket.outcome for ticket in tickets]
        return outcomes, engine_report(self._backend)[0]


class _Held:
    """A ticket that keeps its outcome."""

    cancelled = False

    def __init__(self, request: Request) -> None:
        self.request = request
        self.outcome: Result | Exception | None = None

    def begin(self) -> None:
        """The driver's clock runs from when it sent the chunk."""

    def resolve(self, result: Result) -> None:
        self.outcome = result

    def fail(self, error: Exception) -> None:
        self.outcome = portable(error)


class _ActorWave:
    """A chunk as a wave that nothing joins."""

    def __init__(self, tickets: Sequence[Ticket], more: bool) -> None:
        self._tickets = tickets
        self._more = more

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Any:
        return iter(self._tickets)

    def joined(self, wait: float = 0.0) -> list[Ticket]:
        return []

    def more(self) -> bool:
        return self._more
