"""The backend over litellm, which is pointed at the server on loopback that the openai backend is tested with."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # importing it would fetch prices
pytest.importorskip("litellm", reason="litellm is an extra")

from openai_server_for_tests import answer, serving

from evalharness.backends.batching import Waves
from evalharness.backends.litellm import load
from evalharness.errors import ServiceError, UsageError
from evalharness.types import GenerateRequest, Message, Origin, Prompt, Sampling, ToolSchema


def request(text: str, **sampling: Any) -> GenerateRequest:
    prompt = Prompt(messages=(Message("user", text),), text=text)
    origin = Origin(task="t", sample_id=text, index=1)
    return GenerateRequest(origin=origin, prompt=prompt, sampling=Sampling(max_tokens=99, **sampling))


def asked(backend: Any, *requests: GenerateRequest) -> list[Any]:
    async def all_of_them() -> list[Any]:
        async with Waves(backend) as waves:
            return await asyncio.gather(*(waves.ask(one) for one in requests), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_what_passes_is_asked_again_and_what_lasts_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with serving() as server:
        server.faults = {"3?": deque(["500"]), "2?": deque(["429:0"]), "4?": deque(["400..."])}
        backend = load("openai/loop", model_options={"extra_body": {"api_base": server.url}})
        results = asked(backend, *(request(f"{number}?") for number in range(6)))
    assert isinstance(results.pop(4), ServiceError)
    assert [result.completions[0].text for result in results] == [answer(f"{number}?") for number in (0, 1, 2, 3, 5)]
    spent = backend.spent()
    assert (spent["requests"], spent["attempts_again"]) == (8, 2)
    assert backend.info.verbs == {"generate"}


def test_tools_are_sent_and_calls_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    add = ToolSchema(name="math.add", description="Adds.", parameters={"type": "object", "properties": {}})
    with serving() as server:
        server.calls["Add"] = [("math_add", '{"a": 1}')]
        backend = load("openai/loop", model_options={"extra_body": {"api_base": server.url}})
        asking = request("Add 1.")
        (result,) = asked(backend, replace(asking, prompt=replace(asking.prompt, tools=(add,))))
        (tool,) = server.asked[-1]["tools"]
    assert tool["function"] == {"name": "math_add", "description": "Adds.", "parameters": add.parameters}
    (call,) = result.completions[0].tool_calls
    assert (call["function"]["name"], call["function"]["arguments"]) == ("math.add", '{"a": 1}')


def test_what_is_not_offered_is_refused() -> None:
    backend = load("openai/loop")
    (error,) = asked(backend, request("x", top_k=3))
    assert isinstance(error, UsageError)
    assert "decode.top_k" in str(error)
