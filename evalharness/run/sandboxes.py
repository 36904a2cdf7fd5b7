"""The sandbox of a run: one pool of boxes for all its cells, made only where one of them executes programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from evalharness.run.plan import Cell
from evalharness.sandbox.outcome import LIMITS, Limits, Outcome
from evalharness.sandbox.pool import Pool

AUTO = "auto"


@contextmanager
def pool_for(cells: Sequence[Cell]) -> Iterator[Pool | None]:
    """The pool that the cells execute in, closed in the end; None where none of them executes anything.

    Raises:
        ServiceError: no level of isolation works here, and the user does not allow execution without one.
        UsageError: the level that the user names does not exist.
    """
    executing = [cell for cell in cells if cell.task.executes]
    if not executing:
        yield None
        return
    from evalharness.sandbox.choose import choose

    options = executing[0].options
    sandbox = choose(
        None if options.sandbox == AUTO else options.sandbox,
        allow_unsafe=options.allow_unsafe_execution,
        python=str(options.sandbox_python) if options.sandbox_python else None,
        image=options.sandbox_image,
    )
    pool = Pool(sandbox)
    try:
        yield pool
    finally:
        pool.close()


_NOTHING = Outcome(status="error", explanation="nothing is executed in a dry run")


class Idle:
    """Stands in for a pool in a dry run: nothing is executed."""

    async def run(self, source: str, *, stdin: str = "", limits: Limits = LIMITS) -> Outcome:
        return _NOTHING

    def session(self, *, limits: Limits = LIMITS) -> IdleSession:
        return IdleSession()

    async def test(
        self,
        source: str,
        *,
        tests: str,
        calls: Sequence[str],
        setup: str = "",
        in_box: bool = False,
        limits: Limits = LIMITS,
        reference: str | None = None,
    ) -> Outcome:
        return _NOTHING


class IdleSession:
    """A session of it."""

    async def __aenter__(self) -> IdleSession:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def execute(self, code: str) -> Outcome:
        return _NOTHING

    async def reset(self) -> None: ...
