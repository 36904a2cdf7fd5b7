"""What a client is told when there is no answer: OpenAI's form of an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable",
}


class Refusal(EvalHarnessError):
    """A request that gets no answer: the status of the response, and a code for programs beside the sentence."""

    def __init__(self, status: int, message: str, *, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "code"}}``."""
        return {
            "error": {"message": str(self), "type": _TYPES.get(self.status, "internal_error"), "code": self.code},
        }


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an error, whoever raised it."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UsageError | DataError):
        return Refusal(400, str(error), code="invalid_value")
    if isinstance(error, ServiceError):
        return Refusal(503, str(error), code="unavailable")
    return Refusal(500, f"the server failed: {type(error).__name__}: {error}", code="internal_error")
