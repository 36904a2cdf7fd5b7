"""How many requests are under way: it grows by one a round, halves once a refusal, and never exceeds its bounds."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from evalharness.backends.remote.limiter import Limiter


def test_a_round_of_answers_adds_one_and_a_refusal_halves_once() -> None:
    limiter = Limiter(most=100, first=8)
    for _ in range(8):
        limiter.answered()
    assert 8.9 < limiter.limit <= 9
    for _ in range(5):
        limiter.refused(began=0)
    assert 4.4 < limiter.limit <= 4.5
    limiter.refused(began=1)
    assert 2.2 < limiter.limit <= 2.25


def test_the_limit_stays_between_one_and_the_most() -> None:
    limiter = Limiter(most=3, first=16)
    assert limiter.limit == 3
    for began in range(9):
        limiter.refused(began)
    assert limiter.limit == 1
    for _ in range(100):
        limiter.answered()
    assert limiter.limit == 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 6))
def test_never_more_are_under_way_than_allowed_and_all_come_to_an_end(turns: list[int], most: int) -> None:
    async def play() -> int:
        limiter, seen = Limiter(most=most, first=most), 0

        async def one(count: int) -> None:
            nonlocal seen
            async with limiter:
                seen = max(seen, limiter.running)
                for _ in range(count):
                    await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(one(count)) for count in turns]
        await asyncio.sleep(0)
        tasks[-1].cancel()  # one leaves while it waits, or while it runs
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.running == 0
        return seen

    assert asyncio.run(asyncio.wait_for(play(), 20)) <= most
