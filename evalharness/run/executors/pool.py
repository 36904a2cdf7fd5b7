"""What every pool of workers offers, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from evalharness.types import GenerateRequest, Prompt, Request, Result


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded its model."""

    worker: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A worker cannot load its model, and no other one will."""

    worker: int
    error: Exception


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of a chunk is done."""

    worker: int
    chunk: int
    place: int
    outcome: Result | Exception


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk is done, and what the worker's engine counted since it last said so."""

    worker: int
    chunk: int
    report: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone, with everything that it had in hand."""

    worker: int
    why: str


Event = Ready | NotStarted | Answered | Finished | Died


class Pool(Protocol):
    """Workers by number. Every call comes from one thread."""

    workers: int

    def start(self, worker: int) -> None:
        """Start a worker, or another one in the place of one that died."""
        ...

    def send(self, worker: int, chunk: int, requests: Sequence[Request], *, more: bool) -> None:
        """Hand a worker a chunk; `more` says whether prompts like these are still to come."""
        ...

    def poll(self, seconds: float) -> list[Event]:
        """What has happened; waits up to so many seconds for something."""
        ...

    def close(self) -> None: ...


def for_travel(request: Request, *, ids: bool) -> Request:
    """The request as it is sent to another process: without what a model that takes ids does not read."""
    if isinstance(request, GenerateRequest):
        light = replace(request, on_tokens=None)
        return replace(light, prompt=_ids_only(request.prompt)) if ids else light
    return replace(request, context=_ids_only(request.context), continuation="") if ids else request


def _ids_only(prompt: Prompt) -> Prompt:
    return Prompt(messages=(), text="", ids=prompt.ids)
