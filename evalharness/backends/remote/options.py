"""What can be said of a model behind a server with ``--model-option NAME=VALUE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalharness.options import Options

TIME_LIMIT = 600.0
"""Seconds that one attempt may take unless --time-limit says otherwise."""
Api = Literal["auto", "completions", "chat", "responses"]


class RemoteOptions(Options):
    """Options of ``openai`` and ``litellm``."""

    api: Api = "auto"
    """The kind of request; auto: chat under --chat, else completions where the server has them, else chat."""
    concurrency: int = Field(default=64, ge=1)
    """Most requests under way at once; how many there are follows what the server bears."""
    retries: int = Field(default=6, ge=0)
    """How often a request is sent again that failed in a way that may pass."""
    key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    prices: Path | None = None
    """A table of prices of your own."""
    reasoning_effort: str | None = None
    """Sent as it is to models that know it: low, medium, high."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every request, as the server knows them."""
