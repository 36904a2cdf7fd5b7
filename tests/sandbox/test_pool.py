"""Boxes for coroutines: at the same time, without holding up the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(choose(), workers=4)
    yield made
    made.close()


def test_many_at_once(pool: Pool) -> None:
    async def main() -> tuple[list[str], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        outcomes = await asyncio.gather(*(pool.run(f"import time; time.sleep(.2); print({n})") for n in range(8)))
        ticking.cancel()
        return [outcome.stdout.strip() for outcome in outcomes], ticks

    said, ticks = asyncio.run(main())
    assert said == [str(n) for n in range(8)]
    assert ticks > 5


SLOW = "import time\ndef f(): time.sleep({seconds}); return 1"


def test_a_right_program_that_is_slow_has_ten_times_the_references_time(pool: Pool) -> None:
    def judged(candidate: float, reference: float | None) -> str:
        given = None if reference is None else SLOW.format(seconds=reference)
        outcome = pool.test(
            SLOW.format(seconds=candidate),
            tests="assert f() == 1",
            calls=["f"],
            limits=Limits(seconds=0.4),
            reference=given,
        )

        async def main() -> str:
            return (await outcome).status

        return asyncio.run(main())

    assert judged(0.8, None) == "timeout"
    assert judged(0.8, 0.3) == "pass"
    assert judged(0.8, 0.0) == "timeout"


def test_sessions(pool: Pool) -> None:
    async def main() -> list[str | None]:
        async with pool.session() as one, pool.session() as other:
            await asyncio.gather(one.execute("x = 1"), other.execute("x = 2"))
            values = [(await session.execute("x")).value for session in (one, other)]
            await one.reset()
            return [*values, (await one.execute("x")).explanation]

    assert asyncio.run(main()) == ["1", "2", "NameError: name 'x' is not defined (line 1)"]


def test_closing_waits(pool: Pool) -> None:
    async def main() -> str:
        running = asyncio.create_task(pool.run("import time; time.sleep(.3); print('done')"))
        await asyncio.sleep(0.1)
        return (await running).stdout

    began = time.monotonic()
    assert asyncio.run(main()) == "done\n"
    assert time.monotonic() - began < 20
