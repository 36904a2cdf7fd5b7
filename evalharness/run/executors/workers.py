"""N workers as one backend: chunks go out, answers come back, a worker that dies costs a retry and no run.

The driver holds the coroutines, the journal and the plan; a worker holds a model. At most two chunks are in a worker's
hands. A chunk goes where prompts that begin alike have been (rendezvous hashing of its preamble), and to the idlest
worker where that one is busy. When a worker dies, each of its chunks is tried once more, alone on a worker; one that
kills again is halved until the request that does it is alone, which then fails.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from evalharness.backends.wrapping import Wrapper
from evalharness.errors import ServiceError
from evalharness.run.executors.chunks import Chunk, chunks
from evalharness.run.executors.pool import Answered, Died, Event, Finished, NotStarted, Pool, Ready, for_travel
from evalharness.types import Backend, Ticket, Wave

IN_FLIGHT = 2
"""Chunks in the hands of a worker: one that it works on, one that it goes on with."""
LOOK = 0.02
"""Seconds that the driver waits for news before it looks for new requests."""
PATIENCE = 5.0
"""Seconds that workers have to say what their engines counted."""
FRUITLESS = 3
"""Workers in a row that may die before they answer anything."""


class WorkerDiedError(ServiceError):
    """A request that killed every worker that it was sent to."""


class Workers(Wrapper):
    """An `evalharness.types.Backend` over a pool; of `inner`, the same model, the driver needs the tokenizer."""

    def __init__(self, inner: Backend, pool: Callable[[], Pool]) -> None:
        super().__init__(inner)
        self._make_pool = pool
        self._pool: Pool | None = None
        self._ready: set[int] = set()
        self._hands: dict[int, dict[int, Chunk]] = {}
        """By worker: the chunks in its hands, by number."""
        self._waiting: deque[Chunk] = deque()
        self._number = 0
        self._fruitless = 0
        self.restarts = 0
        self._counts: dict[str, float] = {}
        self._unreported: dict[int, int] = {}
        """Chunks whose worker has not yet said what its engine counted, with the worker."""

    @property
    def copies(self) -> int:
        """Copies of the model, so that enough samples are on their way to keep all of them at work."""
        return 1 if self._pool is None else self._pool.workers

    def warm(self) -> None:
        """Start the workers and wait until each has loaded the model.

        Raises:
            EvalHarnessError: a worker cannot load it.
        """
        pool = self._started()
        while len(self._ready) < pool.workers:
            for event in pool.poll(LOOK):
                self._take(event)

    def answer(self, wave: Wave) -> None:
        pool = self._started()
        try:
            self._admit(wave)
            while self._waiting or any(self._hands.values()):
                self._admit(wave.joined())
                self._send(pool, more=wave.more())
                for event in pool.poll(LOOK):
                    self._take(event)
                if self._all_cancelled():
                    self._forget()
        except BaseException:
            self._forget()
            raise

    def report(self) -> tuple[dict[str, float], list[dict[str, float]]]:
        """What the workers' engines counted since the last call, summed; there is no common tree to draw."""
        until = time.monotonic() + PATIENCE
        while self._pool is not None and self._unreported and time.monotonic() < until:
            for event in self._pool.poll(LOOK):
                self._take(event)
        told, self._counts = self._counts, {}
        return told, []

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        super().close()

    # ------------------------------------------------------------------------ what goes out

    def _started(self) -> Pool:
        if self._pool is None:
            self._pool = self._make_pool()
            self._hands = {worker: {} for worker in range(self._pool.workers)}
            for worker in self._hands:
                self._pool.start(worker)
        return self._pool

    def _admit(self, tickets: Iterable[Ticket]) -> None:
        self._waiting.extend(chunks(ticket for ticket in tickets if not ticket.cancelled))

    def _send(self, pool: Pool, *, more: bool) -> None:
        stay: deque[Chunk] = deque()
        while self._waiting:
            chunk = self._waiting.popleft()
            chunk.tickets = [ticket for ticket in chunk.tickets if not ticket.cancelled]
            if not chunk.tickets:
                continue
            # Suspects stand in front; while one waits, the worker that will soonest be empty takes nothing else.
            worker = self._worker_for(chunk, suspects_wait=bool(stay) and stay[0].suspect)
            if worker is None:
                stay.append(chunk)
                if not chunk.suspect:
                    break  # no worker has room for the ones after it either
                continue
            self._number += 1
            self._unreported[self._number] = worker
            chunk.unanswered = set(range(len(chunk.tickets)))
            self._hands[worker][self._number] = chunk
            for ticket in chunk.tickets:
                ticket.begin()
            ids = self.info.accepts == {"ids"}
            requests = [for_travel(ticket.request, ids=ids) for ticket in chunk.tickets]
            pool.send(worker, self._number, requests, more=more or bool(self._waiting) or bool(stay))
        self._waiting.extendleft(reversed(stay))

    def _worker_for(self, chunk: Chunk, *, suspects_wait: bool) -> int | None:
        """The worker that takes a chunk now; None where all have enough."""
        if chunk.suspect:
            return next((worker for worker in sorted(self._ready) if not self._hands[worker]), None)
        free = [worker for worker in sorted(self._ready) if self._has_room(worker)]
        if suspects_wait and self._ready:
            emptiest = min(sorted(self._ready), key=lambda worker: len(self._hands[worker]))
            free = [worker for worker in free if worker != emptiest]
        if not free:
            return None
        home = max(self._hands, key=lambda worker: _weight(chunk.preamble, worker))
        return home if home in free else min(free, key=lambda worker: len(self._hands[worker]))

    def _has_room(self, worker: int) -> bool:
        held = self._hands[worker].values()
        return len(held) < IN_FLIGHT and not any(chunk.suspect for chunk in held)

    # ------------------------------------------------------------------------ what comes back

    def _take(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._answered(event)
        elif isinstance(event, Finished):
            for name in ADDED & event.report.keys():
                self._counts[name] = self._counts.get(name, 0.0) + event.report[name]
            self._unreported.pop(event.chunk, None)
            chunk = self._hands[event.worker].pop(event.chunk, None)
            for ticket in chunk.left() if chunk else ():
                ticket.fail(ServiceError("a worker returned without answering every request of a chunk."))
        elif isinstance(event, Ready):
            self._ready.add(event.worker)
        elif isinstance(event, NotStarted):
            raise event.error
        else:
            self._died(event)

    def _answered(self, event: Answered) -> None:
        self._fruitless = 0
        chunk = self._hands[event.worker].get(event.chunk)
        if chunk is None or chunk.unanswered is None or event.place not in chunk.unanswered:
            return
        chunk.unanswered.discard(event.place)
        ticket = chunk.tickets[event.place]
        if isinstance(event.outcome, Exception):
            ticket.fail(event.outcome)
        else:
            ticket.resolve(event.outcome)
        if not chunk.unanswered:
            del self._hands[event.worker][event.chunk]  # room for the next one

    def _died(self, event: Died) -> None:
        assert self._pool is not None
        held = self._hands[event.worker]
        if not held:
            self._fruitless += 1
            if self._fruitless >= FRUITLESS:
                raise ServiceError(
                    f"{FRUITLESS} workers died before they answered anything; the last one: {event.why}."
                )
        self._hands[event.worker] = {}
        self._ready.discard(event.worker)
        self._unreported = {chunk: worker for chunk, worker in self._unreported.items() if worker != event.worker}
        self._waiting.extendleft(reversed([part for chunk in held.values() for part in self._again(chunk, event.why)]))
        self.restarts += 1
        self._pool.start(event.worker)

    def _again(self, chunk: Chunk, why: str) -> Sequence[Chunk]:
        """What is tried again of a chunk whose worker died."""
        left = chunk.left()
        if not left:
            return ()
        if not chunk.suspect:
            return (Chunk(left, chunk.preamble, deaths=1),)
        if len(left) > 1:
            return chunk.halves()
        left[0].fail(
            WorkerDiedError(
                f"this request killed the worker that computed it, each time that it was tried ({why}); "
                "it was found by halving the requests that died with it."
            )
        )
        return ()

    def _all_cancelled(self) -> bool:
        held = [chunk for chunks in self._hands.values() for chunk in chunks.values()]
        return all(ticket.cancelled for chunk in [*held, *self._waiting] for ticket in chunk.left())

    def _forget(self) -> None:
        """Nobody waits any more: what workers still say of their chunks is passed over."""
        self._waiting.clear()
        for held in self._hands.values():
            for chunk in held.values():
                chunk.unanswered = set()
        self._hands = {worker: {} for worker in self._hands}


ADDED = frozenset(
    {
        "tokens_requested", "tokens_computed", "tokens_decoded", "wrong_guesses", "padding_rows", "steps",
        "peak_kv_bytes",
    }
)  # fmt: skip
"""Of an engine's counts, those of which a sum over workers says something."""


def _weight(preamble: bytes, worker: int) -> bytes:
    """Rendezvous hashing (Thaler and Ravishankar 1998): a preamble's worker is the one of the largest hash."""
    return hashlib.sha256(preamble + worker.to_bytes(4, "big")).digest()
