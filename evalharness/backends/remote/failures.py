"""What went wrong between us and a server: one sentence, and whether asking again may help.

The classes are those of the official ``openai`` client; ``litellm`` raises subclasses of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from evalharness.errors import ServiceError

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
BUSY = frozenset({429, 503, 529})
"""What says that fewer requests at once would be right."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
TIMEOUTS = 2
"""How often a request that ran out of its time is sent again: a server that hangs would hold it for hours."""


class RemoteError(ServiceError):
    """A request that a server did not answer, for good."""

    status: int | None = None
    """Of HTTP, where that was the last word."""


class MalformedAnswerError(Exception):
    """The server answered, and not in the form that its protocol promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One attempt that failed."""

    sentence: str
    again: bool
    """Whether another attempt may succeed."""
    busy: bool = False
    """Whether the server has too much to do."""
    after: float | None = None
    """Seconds after which the server wants to be asked again."""
    timed_out: bool = False
    status: int | None = None


def judged(error: Exception, server: str, limit: float) -> Failure:
    """What to make of an error of one attempt.

    Args:
        server: how the sentence names the server.
        limit: seconds that an attempt may take.
    """
    import openai

    if isinstance(error, openai.APITimeoutError | TimeoutError):
        sentence = f"{server} did not answer within {limit:g} s; raise --time-limit, or ask for fewer tokens."
        return Failure(sentence=sentence, again=True, timed_out=True)
    if isinstance(error, openai.APIConnectionError):
        cause = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
        return Failure(sentence=f"{server} cannot be reached, or broke off: {cause.rstrip('.')}.", again=True)
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, server)
    if isinstance(error, MalformedAnswerError | openai.APIResponseValidationError | ValueError):
        return Failure(sentence=f"{server} answered with something else than its protocol says: {error}.", again=True)
    return Failure(sentence=f"{server}: {type(error).__name__}: {error}", again=False)


def _of_status(error: Any, server: str) -> Failure:
    status, said = int(error.status_code), message_of(error)
    code = error.body.get("code") if isinstance(error.body, dict) else None
    if status in (401, 403):
        sentence = f"{server} refuses the key ({status}): {said}; keys are read from the environment (docs/models.md)."
        return Failure(sentence=sentence, again=False, status=status)
    if code == "insufficient_quota":
        return Failure(sentence=f"{server}: the account's quota is spent: {said}", again=False, status=status)
    return Failure(
        sentence=f"{server} answered {status}: {said}",
        again=status in RETRIED,
        busy=status in BUSY,
        after=retry_after(error.response.headers),
        status=status,
    )


def message_of(error: Any) -> str:
    """What a server's error says, on one line."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error")
    told = body.get("message") or (inner.get("message") if isinstance(inner, dict) else inner) or error.message
    return " ".join(str(told).split())[:300]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that ``Retry-After`` asks for: a number, or a date (RFC 9110, 10.2.3); None where it says neither."""
    told = headers.get("retry-after-ms")
    try:
        if told is not None:
            return max(0.0, float(told) / 1000)
        told = headers.get("retry-after")
        if told is None:
            return None
        try:
            return max(0.0, float(told))
        except ValueError:
            return max(0.0, (parsedate_to_datetime(told) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None


def delay(attempt: int, after: float | None) -> float:
    """Seconds before attempt number `attempt` + 1: what the server asks for, or full jitter over a doubling span.

    "Exponential Backoff And Jitter" (Brooker 2015): uniform over ``[0, min(cap, base 2^attempt)]``. A little is added
    to what a server asks for, so that those it sent away do not come back together.
    """
    span = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt)
    return random.uniform(0, span) if after is None else after + random.uniform(0, FIRST_DELAY)
