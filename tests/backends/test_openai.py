"""The backend over a real server on loopback that misbehaves: what goes on, what is recorded, what ends the run."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from e2e.fake import Letters
from e2e.fixtures import here, mirror
from openai_server_for_tests import MODEL, Server, answer, greedy, serving, value

from evalharness.backends import openai as module
from evalharness.backends.batching import Waves
from evalharness.errors import BudgetError, EvalHarnessError, ServiceError, UsageError
from evalharness.records.folder import read_run
from evalharness.types import GenerateRequest, Likelihood, Message, Origin, Prompt, Sampling, ScoreRequest, ToolSchema

pytest.importorskip("openai", reason="the official client is an extra")
__all__ = ["here", "mirror"]

ORIGIN = Origin(task="t", sample_id="1", index=1)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.backends.remote.failures.FIRST_DELAY", 0.01)


def backend(server: Server, **options: Any) -> module.OpenAIBackend:
    return module.load(server.spec.removeprefix("openai:"), **options)


def asked(model: Any, *requests: Any) -> list[Any]:
    """Answers, or errors, through waves as a run asks."""
    import asyncio

    async def all_of_them() -> list[Any]:
        async with Waves(model) as waves:
            return await asyncio.gather(*(waves.ask(request) for request in requests), return_exceptions=True)

    try:
        return asyncio.run(all_of_them())
    finally:
        model.close()


def generating(text: str, n: int = 1, **sampling: Any) -> GenerateRequest:
    prompt = Prompt(messages=(Message("user", text),), text=text)
    return GenerateRequest(origin=ORIGIN, prompt=prompt, sampling=Sampling(**{"max_tokens": 99} | sampling), n=n)


def scoring(context: str, continuation: str, ids: tuple[int, ...] | None = None, start: int = 1) -> ScoreRequest:
    prompt = Prompt(messages=(Message("user", context),), text=context)
    return ScoreRequest(origin=ORIGIN, context=prompt, continuation=continuation, ids=ids, start=start)


# --------------------------------------------------------------------------- what a server can do


def test_what_a_server_can_do_is_tried_and_recorded(server: Server) -> None:
    info = backend(server).info
    assert (info.name, info.kind, info.immediate) == (MODEL, "openai", True)
    assert info.accepts == {"text"}
    assert info.verbs == {"score", "generate"}
    assert set(info.details["can"]) == {"chat", "completions", "echo", "json_schema", "seed", "tools"}
    assert info.details["served"] == MODEL


def test_a_server_without_echo_cannot_score(server: Server) -> None:
    server.echo = False
    assert backend(server).info.verbs == {"generate"}


def test_a_server_with_chat_alone_gets_messages(server: Server) -> None:
    server.completions = False
    info = backend(server).info
    assert info.accepts == {"messages"}
    assert info.details["api"] == "chat"


def test_under_chat_messages_are_sent_and_the_server_renders_them(server: Server) -> None:
    (result,) = asked(backend(server, chat=True), generating("Is it?"))
    assert result.completions[0].text == answer("Is it?")
    assert server.asked[-1]["messages"] == [{"role": "user", "content": "Is it?"}]


@pytest.mark.parametrize(
    ("spec", "kind", "told"),
    [
        ("http://127.0.0.1:9#m", ServiceError, "cannot be reached"),
        ("127.0.0.1:9#m", UsageError, "write openai:NAME, or openai:BASE_URL#NAME"),
    ],
)
def test_a_server_that_is_not_there(spec: str, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        _ = module.load(spec).info


def test_a_wrong_model_name_is_one_sentence(server: Server) -> None:
    with pytest.raises(UsageError, match="has no model 'lop'; did you mean 'loop'"):
        _ = module.load(f"{server.url}#lop").info


def test_a_wrong_key_is_one_sentence_and_a_right_one_works(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "right"
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with pytest.raises(ServiceError, match=r"refuses the key \(401\)"):
        _ = backend(server).info
    monkeypatch.setenv("MY_KEY", "right")
    assert backend(server, model_options={"key_env": "MY_KEY"}).info.name == MODEL


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ServiceError, match="no key: set OPENAI_API_KEY"):
        _ = module.load("gpt-4o").info


def test_an_unknown_option_is_named(server: Server) -> None:
    with pytest.raises(EvalHarnessError, match=r"--model-option: retrys: unknown key; did you mean 'retries'"):
        backend(server, model_options={"retrys": 3})


# --------------------------------------------------------------------------- scores and texts


def test_scores_by_echo_are_those_of_the_continuation(server: Server) -> None:
    context, continuation = "The sky is", " blue"
    (found,) = asked(backend(server), scoring(context, continuation))
    tokens = [*context, *continuation, "!"]
    places = range(len(context), len(context) + len(continuation))
    assert found == Likelihood(
        tuple(value(tokens, place) for place in places), tuple(greedy(tokens, place) for place in places)
    )


def test_with_a_tokenizer_ids_are_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_tokenizer", lambda name: Letters())
    model = backend(server, tokenizer="letters")
    assert model.info.accepts == {"ids"}
    (found,) = asked(model, scoring("", "", ids=(5, 6, 7, 8), start=2))
    tokens = [f"<{id}>" for id in (5, 6, 7, 8, 0)]
    assert found.log_likelihoods == tuple(value(tokens, place) for place in (2, 3))


def test_fewer_log_probabilities_than_tokens_are_an_error_and_no_score(server: Server) -> None:
    server.faults["blue"] = deque(["few log-probabilities..."])
    wrong, right = asked(backend(server, model_options={"retries": 1}), scoring("a", " blue"), scoring("a", " red"))
    assert isinstance(wrong, ServiceError)
    assert isinstance(right, Likelihood)


def test_sampling_is_sent_in_the_protocols_words(server: Server) -> None:
    asked(
        backend(server),
        generating(
            "x", n=2, temperature=0.7, top_p=0.9, top_k=5, seed=2**33 + 7, stop=("a", "b"), presence_penalty=0.5
        ),
    )
    body = server.asked[-1]
    assert body == {
        "model": MODEL, "prompt": "x", "max_tokens": 99, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 7,
        "n": 2, "stop": ["a", "b"], "presence_penalty": 0.5,
    }  # fmt: skip


def test_more_stops_than_a_request_may_name_are_applied_here(server: Server) -> None:
    (result,) = asked(backend(server), generating("x", stop=("1", "2", "3", "4", " answer")))
    assert "stop" not in server.asked[-1]
    assert (result.completions[0].text, result.completions[0].stop) == (" So the", " answer")


def test_a_thought_in_a_field_is_kept_apart_and_stops_are_the_answers(server: Server) -> None:
    server.reasoning = "Let me see. So the"
    model = backend(server, chat=True, reasoning="field")
    (result,) = asked(model, generating("x", stop=(" answer",)))
    assert "stop" not in server.asked[-1]
    assert (result.completions[0].reasoning, result.completions[0].text) == ("Let me see. So the", " So the")


def test_responses_are_asked_once_a_completion_and_cut_here(server: Server) -> None:
    model = backend(server, model_options={"api": "responses", "reasoning_effort": "low"})
    assert (model.info.details["api"], model.info.verbs) == ("responses", {"generate"})
    whole, cut = asked(model, generating("x", n=2, stop=(" answer",)), generating("y", max_tokens=4))
    assert [(said.text, said.reasoning, said.stop) for said in whole.completions] == [(" So the", "Hm.", " answer")] * 2
    assert whole.completions[0].usage["reasoning_tokens"] == 3
    assert (cut.completions[0].text, cut.completions[0].finish_reason) == (answer("y")[:4], "length")
    assert server.asked[-1]["reasoning"] == {"effort": "low"}


# --------------------------------------------------------------------------- native function calls

ADD = ToolSchema(
    name="math.add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
)
STOP = ToolSchema(name="stop", description="", parameters={"type": "object", "properties": {}})


def calling(text: str, *tools: ToolSchema, n: int = 1, **sampling: Any) -> GenerateRequest:
    request = generating(text, n, **sampling)
    return replace(request, prompt=replace(request.prompt, tools=tools))


def test_tools_are_sent_and_calls_are_read(server: Server) -> None:
    server.calls["Add"] = [("math_add", '{"a": 1}'), ("stop", "{")]
    (result, other) = asked(
        backend(server, chat=True), calling("Add 1.", ADD, STOP, n=2, stop=("x",)), calling("Hello", ADD)
    )
    (body,) = [body for body in server.asked if body.get("messages") == [{"role": "user", "content": "Add 1."}]]
    assert body["tools"] == [
        {"type": "function", "function": {"name": "math_add", "description": "Adds.", "parameters": ADD.parameters}},
        {"type": "function", "function": {"name": "stop", "description": "", "parameters": STOP.parameters}},
    ]
    assert len(result.completions) == 2
    for completion in result.completions:
        assert (completion.text, completion.finish_reason) == ("", "stop")
        assert [call["function"] for call in completion.tool_calls] == [
            {"name": "math.add", "arguments": '{"a": 1}'},
            {"name": "stop", "arguments": "{"},
        ]
    assert (other.completions[0].text, other.completions[0].tool_calls) == (answer("Hello"), ())


def test_tools_are_sent_to_responses_too(server: Server) -> None:
    server.calls["Add"] = [("math_add", '{"a": 1}')]
    (result,) = asked(backend(server, model_options={"api": "responses"}), calling("Add 1.", ADD))
    assert server.asked[-1]["tools"] == [
        {"type": "function", "name": "math_add", "description": "Adds.", "parameters": ADD.parameters, "strict": False}
    ]
    (call,) = result.completions[0].tool_calls
    assert (call["name"], call["arguments"]) == ("math.add", '{"a": 1}')


def test_without_a_conversation_nobody_can_be_told_of_tools(server: Server) -> None:
    (error,) = asked(backend(server), calling("Add 1.", ADD))
    assert isinstance(error, UsageError)
    assert str(error) == "native function calls need a conversation; add --chat."


def test_a_server_that_refuses_tools_is_one_sentence(server: Server) -> None:
    server.tools = False
    model = backend(server, chat=True)
    assert "tools" not in model.info.details["can"]
    plain, error = asked(model, generating("Hello"), calling("Add 1.", ADD))
    assert plain.completions[0].text == answer("Hello")
    assert isinstance(error, UsageError)
    assert "refuses requests with tools" in str(error)


def test_with_a_tokenizer_the_template_has_shown_the_tools(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_tokenizer", lambda name: Letters())
    model = backend(server, tokenizer="letters", chat=True)
    request = calling("Add 1.", ADD)
    asked(model, replace(request, prompt=replace(request.prompt, ids=(5, 6))))
    assert server.asked[-1]["prompt"] == [5, 6]
    assert "tools" not in server.asked[-1]


def test_the_budget_in_tokens_ends_what_is_not_yet_asked(server: Server) -> None:
    model = backend(server, max_tokens_total=400, model_options={"concurrency": 1})
    results = asked(model, *(generating(f"{'x' * 90}{number}") for number in range(8)))
    answered = [result for result in results if not isinstance(result, Exception)]
    assert 1 <= len(answered) < 8
    assert all(isinstance(result, BudgetError) for result in results[len(answered) :])


def test_a_cost_needs_a_price(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no price of this model is known"):
        backend(server, max_cost=1.0)
    (tmp_path / "prices.yaml").write_text("models: {loop: {input: 1000, output: 2000, date: 2026-01-31}}\n")
    model = backend(server, max_cost=1.0, model_options={"prices": str(tmp_path / "prices.yaml")})
    (result,) = asked(model, generating("xx"))
    usage = result.completions[0].usage
    spent = model.spent()
    assert spent["cost"] >= (1000 * usage["prompt_tokens"] + 2000 * usage["completion_tokens"]) / 1e6


# --------------------------------------------------------------------------- what servers do

PASSES = ["429", "429:0", "500", "drop", "half", "malformed", "no choices", "hang:1.5"]
"""What passes when it is asked again."""


@pytest.mark.parametrize("fault", PASSES)
def test_what_passes_is_asked_again(server: Server, fault: str) -> None:
    server.faults["3?"] = deque([fault])
    model = backend(server, time_limit=1.0)
    _ = model.info
    results = asked(model, *(generating(f"{number}?") for number in range(6)))
    assert [result.completions[0].text for result in results] == [answer(f"{number}?") for number in range(6)]
    assert model.spent()["attempts_again"] == 1


LASTS = {
    "429...": "answered 429: too many",
    "500...": "answered 500: oops",
    "400...": "answered 400: maximum context length is 8 tokens",
    "401...": r"refuses the key \(401\): key expired",
    "drop...": "cannot be reached, or broke off",
    "half...": "cannot be reached, or broke off",
    "malformed...": "something else than its protocol says",
    "no choices...": "something else than its protocol says",
    "other model...": "answers with the model 'another' where it began with 'loop'",
    "hang:3...": "did not answer within 0.5 s",
}


@pytest.mark.parametrize(("fault", "told"), LASTS.items())
def test_what_lasts_fails_its_own_sample_and_no_other(server: Server, here: Path, fault: str, told: str) -> None:
    import re

    server.faults["Box 3 "] = deque([fault])
    command = ("run", "--task", "gsm8k", "--limit", 30, "--shots", 0, "--model", server.spec, "--output", "out",
               "--time-limit", 0.5, "--model-option", "retries=1", "--quiet")  # fmt: skip
    said(*command).done()
    run = read_run(Path("out"))
    lines = {line["id"]: line for line in run.lines()}
    (failed,) = [line for line in lines.values() if line.get("error")]
    assert re.search(told, failed["error"]), failed["error"]
    assert run.results is not None
    assert run.results.counts["errored"] == 1
    assert run.results.scores["exact_match"].n == 29
    for line in lines.values():
        if line is not failed:
            assert line["completions"] == [answer(line["repeats"][0]["calls"][0]["prompt"])]
    # The same command asks for the failed one alone.
    server.faults.clear()
    before = len(server.asked)
    said(*command).done()
    again = [body for body in server.asked[before:] if "Box" in str(body.get("prompt"))]
    assert len(again) == 1
    assert read_run(Path("out")).results.counts["errored"] == 0  # type: ignore[union-attr]


def test_an_answer_without_usage_is_an_answer(server: Server) -> None:
    server.faults[""] = deque(["no usage..."])
    (result,) = asked(backend(server), generating("x"))
    assert (result.completions[0].text, result.completions[0].usage) == (answer("x"), {})


def test_more_failures_than_allowed_end_with_exit_4(server: Server, here: Path) -> None:
    for number in range(4):
        server.faults[f"Box {number} "] = deque(["400..."])
    command = (
        "run",
        "--task",
        "gsm8k",
        "--limit",
        30,
        "--shots",
        0,
        "--model",
        server.spec,
        "--output",
        "out",
        "--quiet",
    )
    ended = said(*command)
    assert ended.code == 4
    assert "4 of 30 samples failed, more than --max-errors 0.05 allows" in ended.err


def test_a_spent_budget_ends_the_run_and_a_larger_one_goes_on(server: Server, here: Path) -> None:
    command = ("run", "--task", "gsm8k", "--limit", 30, "--shots", 0, "--model", server.spec, "--output", "out",
               "--quiet", "--model-option", "concurrency=2")  # fmt: skip
    ended = said(*command, "--max-tokens-total", 2000)
    assert ended.code == 5
    assert "the budget of 2,000 tokens is spent" in ended.err
    done = len(list(read_run(Path("out")).lines()))
    assert 0 < done < 30
    said(*command).done()
    assert len(list(read_run(Path("out")).lines())) == 30


def test_keys_are_in_no_file(server: Server, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "sk-very-secret-key-123"
    monkeypatch.setenv("OPENAI_API_KEY", server.key)
    said("run", "--task", "gsm8k", "--limit", 2, "--shots", 0, "--model", server.spec, "--output", "out").done()
    for path in Path("out").iterdir():
        assert server.key not in path.read_text()


def test_three_hundred_samples_of_a_slow_server_that_stumbles(server: Server) -> None:
    """300 answers after 200 ms each, a 429, a 500 and a dropped connection among them: the requests overlap."""
    server.latency = 0.2
    server.faults["17?"] = deque(["429:0"])
    server.faults["23?"] = deque(["500"])
    server.faults["41?"] = deque(["drop"])
    model = backend(server)
    _ = model.info
    began = time.monotonic()
    results = asked(model, *(generating(f"{number}?") for number in range(300)))
    assert [result.completions[0].text for result in results] == [answer(f"{number}?") for number in range(300)]
    assert time.monotonic() - began < 300 * 0.2 / 2  # far from one after the other; the benchmark has the number


def test_the_record_says_what_was_spent(server: Server, here: Path) -> None:
    said("run", "--task", "gsm8k", "--limit", 3, "--shots", 0, "--model", server.spec, "--output", "out").done()
    results = json.loads(Path("out/results.json").read_text())
    assert results["spent"]["requests"] == 3
    assert results["spent"]["completion_tokens"] == results["usage"]["generated_tokens"]
