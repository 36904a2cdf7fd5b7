"""What each method asks of a model, and what it brings back; the model is a listener with set answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tokenizers_for_tests import text_tokenizer

from evalharness.elicitation.base import Ask
from evalharness.prompting.prompter import Prompter
from evalharness.tasks.protocol_hash import synthetic_samples
from evalharness.tasks.task import Task, load_task
from evalharness.types import (
    Attempt,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Request,
    Result,
    ScoreRequest,
    Tokenizer,
)

QUESTION = "A coin is heads up. Ana flips the coin. Bo does not flip the coin. Is the coin still heads up?"


class Model:
    """Says the given texts in turn, the last one for ever; keeps what it was asked."""

    def __init__(self, *said: str) -> None:
        self.said = list(said) or ["so"]
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Result:
        self.asked.append(request)
        if isinstance(request, ScoreRequest):
            for _ in range(9 - min(request.origin.call, 9)):  # the first answer comes last
                await asyncio.sleep(0)
            tokens = 1 if request.ids is None else len(request.ids) - request.start
            return Likelihood((-1.0 - request.origin.call,) * tokens, (True,) * tokens)
        text = self.said[min(len(self.generated), len(self.said)) - 1]
        return Completions(tuple(Completion(text=f"{text}{number or ''}") for number in range(request.n)))

    @property
    def generated(self) -> list[GenerateRequest]:
        return [request for request in self.asked if isinstance(request, GenerateRequest)]

    @property
    def scored(self) -> list[ScoreRequest]:
        return [request for request in self.asked if isinstance(request, ScoreRequest)]


def _run(
    task: Task, model: Model, *, number: int = 0, shots: Sequence[int] = (), tokenizer: Tokenizer | None = None,
    max_length: int | None = None, **where: Any,
) -> Attempt:  # fmt: skip
    """Elicit example row `number` once, with the rows `shots` as demonstrations."""
    samples = synthetic_samples(task)
    ask = Ask(
        task=task.name,
        sample=samples[number],
        reference=task.renderer.reference(samples[number]),
        demonstrations=[samples[shot] for shot in shots],
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=tokenizer, max_length=max_length),
        waves=model,
        sampling=task.sampling,
        **where,
    )

    async def elicited() -> Attempt:
        return await task.method.run(ask, task.method_options)

    return asyncio.run(elicited())


def _coin(method: str, **changes: Any) -> Task:
    return load_task("coin_flip", method=method, changes=changes)


# --------------------------------------------------------------------------- generation


@pytest.mark.parametrize("method", ["direct", "few_shot"])
def test_an_answer_without_reasoning(method: str) -> None:
    model = Model(" The answer is no.")
    attempt = _run(_coin(method), model, shots=(1,))
    (request,) = model.generated
    assert request.prompt.text.endswith(f"\nA: The answer is yes.\n\nQ: {QUESTION}\nA:")
    assert (request.n, request.sampling.temperature, request.sampling.max_tokens) == (1, 0.0, 256)
    assert request.sampling.stop == ("Q:", "\n\n")
    assert attempt.candidates == (" The answer is no.",)
    (call,) = attempt.calls
    assert (call.prompt, call.sampling) == (request.prompt, request.sampling)
    assert [completion.text for completion in call.completions] == list(attempt.candidates)


def test_a_chain_of_thought_is_shown_in_the_demonstrations() -> None:
    model = Model()
    _run(_coin("chain_of_thought"), model, shots=(2,))
    (request,) = model.generated
    assert "A: The coin was flipped by no one. So the coin" in request.prompt.text
    assert request.prompt.text.endswith(f"so it is still heads up. So the answer is yes.\n\nQ: {QUESTION}\nA:")


@pytest.mark.parametrize(
    ("name", "question", "trigger"),
    [
        ("coin_flip", QUESTION, "Therefore, the answer (Yes or No) is"),
        (
            "last_letter_concatenation",
            'Take the last letters of the words in "Ana Bold" and concatenate them.',
            "Therefore, the answer is",
        ),
    ],
)
def test_zero_shot_asks_twice_as_kojima_et_al_do(name: str, question: str, trigger: str) -> None:
    """Kojima et al. 2022, arXiv:2205.11916, section 3: the second prompt is the first, its reasoning, the trigger."""
    task = load_task(name, method="zero_shot_chain_of_thought")
    model = Model(" Ana flips it.\n", " no.")
    attempt = _run(task, model)
    first, second = (request.prompt.text for request in model.generated)
    assert first == f"Q: {question}\nA: Let's think step by step."
    assert second == f"Q: {question}\nA: Let's think step by step. Ana flips it.\n{trigger}"
    assert attempt.candidates == (" no.",)
    assert [request.origin.call for request in model.generated] == [0, 1]
    assert [call.completions[0].text for call in attempt.calls] == [" Ana flips it.\n", " no."]


def test_the_zero_shot_trigger_is_an_option() -> None:
    model = Model()
    task = _coin("zero_shot_chain_of_thought", elicitation={"trigger": "First,"})
    _run(task, model)
    assert model.generated[0].prompt.text.endswith("\nA: First,")


def test_the_zero_shot_trigger_of_gsm8k() -> None:
    model = Model()
    _run(load_task("gsm8k", method="zero_shot_chain_of_thought"), model)
    assert model.generated[1].prompt.text.endswith(" so\nTherefore, the answer (arabic numerals) is")


def test_self_consistency_is_one_request_for_many_chains() -> None:
    model = Model("no")
    task = _coin("self_consistency", elicitation={"samples": 7, "temperature": 0.5, "top_k": 3})
    attempt = _run(task, model, shots=(1,))
    (request,) = model.generated
    assert (request.n, request.sampling.temperature, request.sampling.top_k) == (7, 0.5, 3)
    assert "So the answer is yes.\n\n" in request.prompt.text
    assert attempt.candidates == ("no", *(f"no{number}" for number in range(1, 7)))
    assert len(attempt.calls) == 1


def test_self_consistency_draws_forty_at_temperature_0_7_unless_told_otherwise() -> None:
    model = Model()
    _run(_coin("self_consistency", decode={"temperature": 0.0}), model)
    assert (model.generated[0].n, model.generated[0].sampling.temperature) == (40, 0.7)


def test_room_is_kept_for_the_answer() -> None:
    """A prompt is cut so that `max_tokens` of answer fit behind it; a scored context is not."""
    tokenizer, model = text_tokenizer(), Model()
    task = _coin("direct", decode={"max_tokens": 8})
    _run(task, model, tokenizer=tokenizer, max_length=24)
    (request,) = model.generated
    assert request.prompt.ids is not None
    assert len(request.prompt.ids) == 24 - 8
    assert request.prompt.cut == len(tokenizer.encode(request.prompt.text)) - 16


# --------------------------------------------------------------------------- likelihood


def test_choices_are_scored_in_their_order() -> None:
    task, model, tokenizer = load_task("arc_easy"), Model(), text_tokenizer()
    attempt = _run(task, model, number=1, tokenizer=tokenizer)
    assert [request.continuation for request in model.scored] == [" It freezes.", " It boils.", " It burns."]
    assert [request.origin.call for request in model.scored] == [0, 1, 2]
    for request in model.scored:
        assert request.ids is not None
        assert tokenizer.decode(request.ids[request.start :]) == request.continuation
        assert tokenizer.decode(request.ids[: request.start]) == request.context.text
    assert [likelihood.log_likelihoods[0] for likelihood in attempt.likelihoods] == [-1.0, -2.0, -3.0]
    (call,) = attempt.calls
    assert call.continuations == tuple(request.continuation for request in model.scored)
    assert attempt.candidates == ()


def test_the_tokens_that_were_cut_are_kept_in_the_record() -> None:
    tokenizer = text_tokenizer()
    attempt = _run(load_task("arc_easy"), Model(), tokenizer=tokenizer, max_length=12)
    longest = max(len(tokenizer.encode(attempt.calls[0].prompt.text + text)) for text in attempt.calls[0].continuations)
    assert attempt.calls[0].prompt.cut == longest - 13


def test_the_one_right_continuation() -> None:
    task, model = load_task("lambada_openai"), Model()
    attempt = _run(task, model)
    (request,) = model.scored
    assert request.context.text.endswith("and began to play the")
    assert (request.continuation, len(attempt.likelihoods)) == (" violin", 1)


def test_a_document_is_scored_in_windows() -> None:
    task, model, tokenizer = load_task("wikitext"), Model(), text_tokenizer()
    attempt = _run(task, model, tokenizer=tokenizer, max_length=20)
    text = task.renderer.document(synthetic_samples(task)[0])
    scored = [token for request in model.scored if request.ids for token in request.ids[request.start :]]
    assert len(model.scored) > 1
    assert tokenizer.decode(scored) == text
    (likelihood,) = attempt.likelihoods
    assert len(likelihood.log_likelihoods) == len(likelihood.greedy) == len(scored)
    assert attempt.calls[0].continuations == (text,)


@pytest.mark.parametrize("name", ["arc_easy", "lambada_openai", "wikitext"])
def test_without_a_tokenizer_the_texts_are_asked_for(name: str) -> None:
    """A replayed file needs no ids."""
    model = Model()
    _run(load_task(name), model)
    assert {request.ids for request in model.scored} == {None}


# --------------------------------------------------------------------------- seeds


def _seeds(make: Callable[[Model], Any]) -> list[int]:
    model = Model()
    make(model)
    return [request.sampling.seed for request in model.generated]


def test_seeds_differ_by_run_sample_repeat_and_call() -> None:
    task = _coin("zero_shot_chain_of_thought")
    seeds = [
        seed
        for run_seed in (0, 1)
        for number in (0, 1)
        for repeat in (0, 1)
        for seed in _seeds(lambda model, r=run_seed, n=number, p=repeat: _run(task, model, number=n, seed=r, repeat=p))
    ]
    assert len(seeds) == len(set(seeds)) == 16


def test_seeds_do_not_depend_on_what_ran_before() -> None:
    task = _coin("direct")
    alone = {number: _seeds(lambda model, n=number: _run(task, model, number=n)) for number in range(3)}
    backwards = {number: _seeds(lambda model, n=number: _run(task, model, number=n)) for number in (2, 1, 0)}
    assert alone == backwards


def test_where_a_request_comes_from() -> None:
    model = Model()
    _run(_coin("direct"), model, number=2, repeat=3)
    origin = model.generated[0].origin
    assert (origin.task, origin.sample_id, origin.index, origin.repeat, origin.call) == (
        "coin_flip", "example-3", 2, 3, 0,
    )  # fmt: skip


def test_a_failure_of_the_model_reaches_the_caller() -> None:
    class Broken(Model):
        async def ask(self, request: Request) -> Result:
            raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        _run(load_task("arc_easy"), Broken())
