"""How long a server wants to be left alone, and how long we wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from evalharness.backends.remote.failures import FIRST_DELAY, LONGEST_DELAY, delay, retry_after

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Sat, 31 Jan 2026 12:00:09 GMT"}, 9),
        ({"retry-after": "Sat, 31 Jan 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_the_span_doubles_up_to_its_end() -> None:
    for attempt in range(12):
        span = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt)
        waits = [delay(attempt, None) for _ in range(200)]
        assert min(waits) >= 0
        assert span / 2 < max(waits) <= span


def test_what_a_server_asks_for_is_kept_and_those_it_sent_away_do_not_come_back_together() -> None:
    waits = {delay(3, 5.0) for _ in range(50)}
    assert min(waits) >= 5
    assert max(waits) <= 5 + FIRST_DELAY
    assert len(waits) > 40
