"""What the scripts that ask the engine hand in to get answers back."""

from __future__ import annotations

from typing import Any


class Kept:
    """Keeps an answer."""

    cancelled = False
    result: Any = None

    def begin(self) -> None: ...

    def done(self, result: Any) -> None:
        self.result = result

    def failed(self, error: Exception) -> None:
        raise error
