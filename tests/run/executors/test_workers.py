"""The driver over a pool that the test plays: retries, halving, room, affinity, cancellation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from e2e.fake import Fake, answered
from run.executors.test_chunks import scoring

from evalharness.errors import DataError, ServiceError
from evalharness.run.executors import chunks as chunking
from evalharness.run.executors import workers as module
from evalharness.run.executors.pool import Answered, Died, Event, Finished, NotStarted, Ready
from evalharness.run.executors.workers import Workers
from evalharness.types import Request


class Ticket:
    """A request and how it ended."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.cancelled = False
        self.outcomes: list[Any] = []

    def begin(self) -> None: ...

    def resolve(self, result: Any) -> None:
        self.outcomes.append(result)

    def fail(self, error: Exception) -> None:
        self.outcomes.append(error)


class Wave(list[Any]):
    def joined(self, wait: float = 0.0) -> list[Any]:
        return []

    def more(self) -> bool:
        return False


class Played:
    """A pool in this process; `kills` says which requests end a worker."""

    def __init__(self, workers: int, kills: Callable[[Request], bool] = lambda request: False) -> None:
        self.workers = workers
        self.kills = kills
        self.events: list[Event] = []
        self.started: list[int] = []
        self.sent: list[tuple[int, int]] = []
        """(worker, requests) of every chunk."""
        self.most = 0
        """Chunks in one worker's hands, at most."""
        self._hands: dict[int, list[tuple[int, Sequence[Request]]]] = {}

    def start(self, worker: int) -> None:
        self.started.append(worker)
        self._hands[worker] = []
        self.events.append(Ready(worker))

    def send(self, worker: int, chunk: int, requests: Sequence[Request], *, more: bool) -> None:
        self.sent.append((worker, len(requests)))
        self._hands[worker].append((chunk, requests))
        self.most = max(self.most, len(self._hands[worker]))

    def poll(self, seconds: float) -> list[Event]:
        events, self.events = self.events, []
        for worker, held in self._hands.items():
            if not held:
                continue
            chunk, requests = held.pop(0)
            for place, request in enumerate(requests):
                if self.kills(request):
                    self._hands[worker] = []
                    return [*events, Died(worker, "it was ended by SIGKILL")]
                events.append(Answered(worker, chunk, place, answered(request)))
            events.append(Finished(worker, chunk, {"tokens_computed": len(requests), "prefill_seconds": 1.0}))
        return events

    def close(self) -> None: ...


def asked(count: int) -> list[Ticket]:
    return [Ticket(scoring((1, 2, number % 7, number), number).request) for number in range(count)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 requests."""
    real = chunking.chunks
    monkeypatch.setattr(module, "chunks", lambda tickets: [
        chunking.Chunk(found.tickets[at : at + 16], found.preamble)
        for found in real(tickets, most_tokens=10_000) for at in range(0, len(found.tickets), 16)
    ])  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_every_request_gets_its_own_answer_once(workers: int) -> None:
    pool, tickets = Played(workers), asked(100)
    backend = Workers(Fake(), lambda: pool)
    backend.answer(Wave(tickets))
    assert [ticket.outcomes for ticket in tickets] == [[answered(ticket.request)] for ticket in tickets]
    assert pool.most <= module.IN_FLIGHT
    assert len({worker for worker, _ in pool.sent}) == min(workers, 7)
    assert backend.report() == ({"tokens_computed": 100}, [])
    assert backend.report() == ({}, [])


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("poison", [0, 17, 42, 99])
def test_the_request_that_kills_is_found_and_the_others_are_answered(workers: int, poison: int) -> None:
    tickets = asked(100)
    pool = Played(workers, lambda request: request.origin.index == poison)
    backend = Workers(Fake(), lambda: pool)
    backend.answer(Wave(tickets))
    for number, ticket in enumerate(tickets):
        if number == poison:
            (error,) = ticket.outcomes
            assert isinstance(error, module.WorkerDiedError)
            assert "SIGKILL" in str(error)
        else:
            assert ticket.outcomes == [answered(ticket.request)]
    assert backend.restarts <= math.log2(16) + 2
    assert len(pool.started) == workers + backend.restarts


def test_a_worker_that_dies_by_chance_costs_no_request() -> None:
    died: list[int] = []

    def kills(request: Request) -> bool:
        if request.origin.index == 40 and not died:
            died.append(1)
            return True
        return False

    tickets = asked(100)
    backend = Workers(Fake(), lambda: Played(2, kills))
    backend.answer(Wave(tickets))
    assert all(ticket.outcomes == [answered(ticket.request)] for ticket in tickets)
    assert backend.restarts == 1


def test_a_model_that_cannot_be_loaded_ends_everything_at_once() -> None:
    class Broken(Played):
        def start(self, worker: int) -> None:
            self.events.append(NotStarted(worker, DataError("weights.gguf: truncated.")))

    with pytest.raises(DataError, match="truncated"):
        Workers(Fake(), lambda: Broken(2)).warm()


def test_workers_that_die_again_and_again_end_the_run() -> None:
    class Dying(Played):
        def start(self, worker: int) -> None:
            self.events.append(Died(worker, "it ended with code 1"))

    with pytest.raises(ServiceError, match="3 workers died before they answered anything"):
        Workers(Fake(), lambda: Dying(2)).warm()


def test_nobody_waits_any_more() -> None:
    tickets = asked(100)

    class Slow(Played):
        def poll(self, seconds: float) -> list[Event]:
            events, self.events = self.events, []
            for ticket in tickets:
                ticket.cancelled = True
            return events

    Workers(Fake(), lambda: Slow(2)).answer(Wave(tickets))
    assert not any(ticket.outcomes for ticket in tickets)
