"""A server of an encoder-decoder: it says what follows a prompt, and does not score the prompt."""

from __future__ import annotations

from pathlib import Path

from backends import tiny_models
from serving.servers import serving

from evalharness.backends import stack


def test_it_writes_texts_and_refuses_to_score_a_prompt(tmp_path: Path) -> None:
    with serving(stack.load(str(tiny_models.write("t5", tmp_path / "t5")), threads=1)) as server:
        asked = {"model": "tiny", "prompt": "the answer", "max_tokens": 3, "temperature": 0}
        said = server.post("/v1/completions", asked | {"logprobs": 1}).json
        assert len(said["choices"][0]["logprobs"]["tokens"]) == 3
        refused = server.post("/v1/completions", asked | {"logprobs": 1, "echo": True})
        refused.refused(400, "this model is an encoder-decoder, which scores no prompt; leave out echo")
