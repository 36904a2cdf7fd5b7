"""Thoughts and answers are told apart, stops end answers only; a thought without an answer is truncated, not wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.fake import Fake, Letters
from e2e.fixtures import here, mirror

from evalharness import evaluate
from evalharness.backends.batching import Waves
from evalharness.backends.reasoning import RULES, keeping_apart, split
from evalharness.errors import UsageError
from evalharness.types import Completion, Completions, GenerateRequest, Origin, Prompt, Sampling

__all__ = ["here", "mirror"]
THINK = RULES["think"]


def told(text: str, stops: tuple[str, ...] = (), *, begun: bool = False, reason: Any = "eos") -> Completion:
    return split(Completion(text=text, finish_reason=reason), THINK, stops, begun=begun, tokenizer=Letters())


@pytest.mark.parametrize(
    ("text", "begun", "thought", "answer"),
    [
        ("<think>\nso\n</think>\n\n42", False, "so", "42"),
        ("  <think>so</think>42", False, "so", "42"),
        ("so\n</think>\n42", True, "so", "42"),
        ("so\n</think>\n42", False, "so", "42"),
        ("42", False, None, "42"),
        ("<think></think>42", False, "", "42"),
    ],
)
def test_thought_and_answer(text: str, begun: bool, thought: str | None, answer: str) -> None:
    found = told(text, begun=begun)
    assert (found.reasoning, found.text) == (thought, answer)
    assert found.usage == ({} if thought is None else {"reasoning_tokens": len(thought)})


def test_stops_end_the_answer_and_not_the_thought() -> None:
    found = told("<think>Question: is it?</think>yes.\nQuestion: next", ("Question:",))
    assert (found.reasoning, found.text, found.finish_reason, found.stop) == (
        "Question: is it?", "yes.\n", "stop", "Question:",
    )  # fmt: skip


@pytest.mark.parametrize("text", ["<think>and then", "and then"])
def test_tokens_that_run_out_in_the_thought_leave_no_answer(text: str) -> None:
    found = told(text, begun=not text.startswith("<"), reason="length")
    assert (found.reasoning, found.text) == ("and then", "")
    assert found.cut_in_thought


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="--reasoning thnk: no such rule; did you mean 'think'"):
        keeping_apart(Fake(), "thnk")


class Thinker(Fake):
    """Thinks of its question, and has no time to answer every third sample."""

    def answer(self, wave: Any) -> None:
        for ticket in wave:
            request = ticket.request
            assert isinstance(request, GenerateRequest)
            assert request.sampling.stop == ()
            if request.origin.index % 3 == 0:
                said = Completion(text="<think>Question: hard", ids=(1,) * 9, finish_reason="length")
            else:
                said = Completion(text="<think>Question: easy</think>#### 2\nQuestion: more", finish_reason="eos")
            ticket.resolve(Completions((said,) * request.n))


def test_the_engine_is_not_told_of_stops() -> None:
    async def ask() -> Any:
        prompt = Prompt(messages=(), text="x", ids=(1,))
        origin = Origin(task="t", sample_id="1", index=1)
        request = GenerateRequest(origin=origin, prompt=prompt, sampling=Sampling(max_tokens=9, stop=("Question:",)))
        async with Waves(keeping_apart(Thinker(), "think")) as waves:
            return await waves.ask(request)

    (said,) = asyncio.run(ask()).completions
    assert (said.text, said.reasoning) == ("#### 2\n", "Question: easy")


def test_truncated_thoughts_are_counted_and_scored_by_nothing(here: Path) -> None:
    backend = keeping_apart(Thinker(), "think")
    run = evaluate("gsm8k", backend, limit=12)
    assert run.results is not None
    assert run.results.counts["truncated"] == 4
    assert run.results.scores["exact_match"].n == 8
    assert run.results.samples == 12
    lines = list(run.lines())
    assert [bool(line["scores"]) for line in lines if line["index"] % 3 == 0] == [False] * 4
    assert lines[1]["repeats"][0]["calls"][0]["completions"][0]["reasoning"] == "Question: easy"
    assert run.record.model["details"]["reasoning"] == "think"


def test_of_several_repeats_the_answered_ones_count(here: Path) -> None:
    class Sometimes(Thinker):
        def answer(self, wave: Any) -> None:
            for ticket in wave:
                cut = ticket.request.origin.repeat == 0
                said = Completion(text="<think>a" if cut else "<think>a</think>#### 2", finish_reason="length")
                said = replace(said, finish_reason="length" if cut else "eos")
                ticket.resolve(Completions((said,)))

    run = evaluate("gsm8k", keeping_apart(Sometimes(), "think"), limit=3, repeats=3)
    assert run.results is not None
    assert run.results.scores["exact_match"].n == 3
    assert run.results.counts["truncated"] == 3
