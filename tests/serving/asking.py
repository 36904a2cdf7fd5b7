"""A backend asked without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from evalharness.backends.batching import Waves
from evalharness.types import (
    Backend,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Request,
    Sampling,
    ScoreRequest,
)

ORIGIN = Origin(task="test", sample_id="0", index=0)


def asked(backend: Backend, requests: Sequence[Request]) -> list[Any]:
    """What a backend says to requests."""

    async def ask() -> list[Any]:
        async with Waves(backend) as waves:
            return await asyncio.gather(*(waves.ask(request) for request in requests))

    return asyncio.run(ask())


def generated(backend: Backend, ids: Sequence[int], **sampling: Any) -> Completion:
    prompt = Prompt(messages=(), text="", ids=tuple(ids))
    (answer,) = asked(
        backend, [GenerateRequest(origin=ORIGIN, prompt=prompt, sampling=Sampling(**{"max_tokens": 20} | sampling))]
    )
    assert isinstance(answer, Completions)
    return answer.completions[0]


def scored(backend: Backend, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Likelihood]:
    """Log-likelihoods of continuations after contexts, both in ids."""
    nothing = Prompt(messages=(), text="")
    return asked(
        backend,
        [
            ScoreRequest(
                origin=ORIGIN, context=nothing, continuation="", ids=(*context, *continuation), start=len(context)
            )
            for context, continuation in rows
        ],
    )
