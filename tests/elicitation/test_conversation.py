"""Conversations and judgements in both orders: what a model is asked, and what comes back as candidates."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evalharness.elicitation.base import Ask
from evalharness.errors import DataError
from evalharness.prompting.prompter import Prompter
from evalharness.tasks.protocol_hash import synthetic_samples
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Completion, Completions, GenerateRequest, Request, Result


class Model:
    """Answers with the number of the question."""

    def __init__(self) -> None:
        self.asked: list[GenerateRequest] = []

    async def ask(self, request: Request) -> Result:
        assert isinstance(request, GenerateRequest)
        self.asked.append(request)
        return Completions((Completion(text=f"answer {len(self.asked)}"),))


def elicited(task: Task, model: Model, number: int = 0, *, chat: bool = False) -> Attempt:
    sample = synthetic_samples(task)[number]
    ask = Ask(
        task=task.name, sample=sample, reference=task.renderer.reference(sample), demonstrations=(),
        renderer=task.renderer, prompter=Prompter(task.definition.prompt, tokenizer=None, max_length=None, chat=chat),
        waves=model, sampling=task.sampling,
    )  # fmt: skip

    async def run() -> Attempt:
        return await task.method.run(ask, task.method_options)

    return asyncio.run(run())


def test_the_second_turn_follows_the_first_answer() -> None:
    model = Model()
    attempt = elicited(load_task("mt_bench"), model, chat=True)
    assert attempt.candidates == ("answer 1", "answer 2")
    assert [[(each.role, each.content) for each in request.prompt.messages] for request in model.asked] == [
        [("user", "Write two lines about a lighthouse.")],
        [
            ("user", "Write two lines about a lighthouse."),
            ("assistant", "answer 1"),
            ("user", "Now make them rhyme."),
        ],
    ]
    assert [request.continues for request in model.asked] == [True, False]
    assert len(attempt.calls) == 2


def test_a_plain_conversation_goes_on_as_text() -> None:
    model = Model()
    elicited(load_task("mt_bench"), model)
    assert model.asked[1].prompt.text == "Write two lines about a lighthouse. answer 1\n\nNow make them rhyme."


@pytest.mark.parametrize(("number", "temperature"), [(0, 0.7), (1, 0.0), (2, 0.1)])
def test_the_temperature_may_depend_on_the_row(number: int, temperature: float) -> None:
    model = Model()
    elicited(load_task("mt_bench"), model, number)
    assert [request.sampling.temperature for request in model.asked] == [temperature] * 2


@pytest.mark.parametrize("turns", ["{{ category }}", "{{ [] }}", "{{ [1] }}"])
def test_a_conversation_needs_its_turns(turns: str) -> None:
    with pytest.raises(DataError, match="a conversation needs the fact 'turns', a list of the user's turns"):
        elicited(load_task("mt_bench", changes={"facts": {"turns": turns}}), Model())


def test_a_judgement_is_asked_for_in_both_orders() -> None:
    model = Model()
    attempt = elicited(load_task("llmbar"), model)
    assert attempt.candidates == ("answer 1", "answer 2")
    first, second = (request.prompt.text for request in model.asked)
    one, other = "Banana", "Bananas are a yellow fruit that grows in warm countries."
    assert f"# Output (a):\n{one}\n\n# Output (b):\n{other}\n" in first
    assert f"# Output (a):\n{other}\n\n# Output (b):\n{one}\n" in second


def test_a_judgement_needs_its_columns() -> None:
    changes: dict[str, Any] = {"elicitation": {"second": "output_3"}}
    with pytest.raises(DataError, match="the row has no column 'output_3'; it has input, output_1"):
        elicited(load_task("llmbar", changes=changes), Model())
