"""Completions and chats of a tiny model, asked with the official client."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from serving.asking import generated, scored
from serving.models import CONTEXT
from serving.servers import Served, serving

from evalharness.backends import stack
from evalharness.backends.stack import StackBackend

PROMPT = "Question: How many rolls does"

# --------------------------------------------------------------------------- completions


def test_a_completion_is_what_the_backend_says(served: Served, reference: StackBackend) -> None:
    own = generated(reference, reference.tokenizer.encode(PROMPT))
    for prompt in (PROMPT, reference.tokenizer.encode(PROMPT)):
        answer = served.client().completions.create(model="tiny", prompt=prompt, max_tokens=20, temperature=0)
        (choice,) = answer.choices
        assert choice.text == own.text
        assert choice.finish_reason == ("stop" if own.finish_reason == "eos" else own.finish_reason)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == len(reference.tokenizer.encode(PROMPT))
        assert answer.usage.completion_tokens == len(own.ids)


def test_several_prompts_are_choices_in_order(served: Served, reference: StackBackend) -> None:
    texts = ["A. one", "B. two", "C. three"]
    alone = [generated(reference, reference.tokenizer.encode(text)).text for text in texts]
    for prompts in (texts, [reference.tokenizer.encode(text) for text in texts]):
        answer = served.client().completions.create(model="tiny", prompt=prompts, max_tokens=20, temperature=0, n=2)
        assert [choice.index for choice in answer.choices] == list(range(6))
        assert [choice.text for choice in answer.choices] == [text for text in alone for _ in range(2)]


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("stop", [None, ["e", "00"]])
@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_says_what_the_whole_says(served: Served, temperature: float, stop: Any, echo: bool) -> None:
    request: dict[str, Any] = {
        "model": "tiny", "prompt": [PROMPT, "The answer"], "max_tokens": 40, "temperature": temperature, "n": 2,
        "seed": 7, "stop": stop, "echo": echo,
    }  # fmt: skip
    whole = served.client().completions.create(**request)
    texts, ends = [""] * 4, [""] * 4
    for event in served.client().completions.create(**request, stream=True):
        for choice in event.choices:
            texts[choice.index] += choice.text
            ends[choice.index] += choice.finish_reason or ""
    assert texts == [choice.text for choice in whole.choices]
    assert ends == [choice.finish_reason for choice in whole.choices]


def test_token_ids_are_returned_when_asked_for(served: Served, reference: StackBackend) -> None:
    own = generated(reference, reference.tokenizer.encode(PROMPT))
    body = {"prompt": PROMPT, "max_tokens": 20, "temperature": 0, "return_token_ids": True}
    (choice,) = served.post("/v1/completions", body).json["choices"]
    assert choice["prompt_token_ids"] == reference.tokenizer.encode(PROMPT)
    assert choice["token_ids"] == list(own.ids)
    events = served.post("/v1/completions", {**body, "stream": True}).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    parts = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events[:-2]]
    assert parts[0]["prompt_token_ids"] == choice["prompt_token_ids"]
    assert all("prompt_token_ids" not in part for part in parts[1:])
    assert [id for part in parts for id in part["token_ids"]] == list(own.ids)


def test_a_stop_string_across_tokens_ends_a_text(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode(PROMPT)
    own = generated(reference, ids, max_tokens=40)
    pieces = [reference.tokenizer.decode([id]) for id in own.ids]
    at = next(n for n in range(3, len(pieces) - 1) if (pieces[n][-1:] + pieces[n + 1][:1]).strip("\ufffd ")[1:])
    stop = pieces[at][-1] + pieces[at + 1][0]
    whole = served.client().completions.create(model="tiny", prompt=PROMPT, max_tokens=40, temperature=0, stop=stop)
    assert whole.choices[0].text == own.text[: own.text.index(stop)]
    assert whole.choices[0].finish_reason == "stop"


def test_a_seed_draws_the_same_again_and_no_seed_does_not(served: Served) -> None:
    def drawn(seed: int | None) -> list[str]:
        answer = served.client().completions.create(
            model="tiny", prompt=PROMPT, max_tokens=30, temperature=1.2, n=3, seed=seed
        )
        return [choice.text for choice in answer.choices]

    assert drawn(3) == drawn(3)
    assert len(set(drawn(3))) == 3
    assert drawn(3) != drawn(4)
    assert drawn(None) != drawn(None)


def test_sampling_reaches_the_model(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode(PROMPT)
    own = generated(
        reference, ids, temperature=0.8, top_p=0.9, top_k=20, min_p=0.01, repetition_penalty=1.1,
        presence_penalty=0.3, frequency_penalty=0.2, logit_bias=((5, 2.0),), seed=11,
    )  # fmt: skip
    answer = served.client().completions.create(
        model="tiny", prompt=PROMPT, max_tokens=20, temperature=0.8, top_p=0.9, presence_penalty=0.3,
        frequency_penalty=0.2, logit_bias={"5": 2}, seed=11,
        extra_body={"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.1},
    )  # fmt: skip
    assert answer.choices[0].text == own.text


def test_a_text_is_held_to_a_schema_or_an_expression(served: Served) -> None:
    pytest.importorskip("llguidance")
    schema = {
        # Else a model without sense fills a text with spaces.
        "x-guidance": {"whitespace_flexible": False},
        "type": "object",
        "properties": {"a": {"enum": [12]}},
        "required": ["a"],
    }
    answer = served.client().chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Say it."}], max_tokens=60, temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}},
    )  # fmt: skip
    assert json.loads(answer.choices[0].message.content or "") == {"a": 12}
    text = served.client().completions.create(
        model="tiny", prompt="x", max_tokens=20, temperature=1, extra_body={"guided_regex": "(ab|c){2}d"}
    )
    assert text.choices[0].text in {a + b + "d" for a in ("ab", "c") for b in ("ab", "c")}
    served.post("/v1/completions", {"prompt": "x", "guided_regex": "((("}).refused(400, "regex")


# --------------------------------------------------------------------------- log-probabilities


def test_echo_tells_what_the_backend_scores(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode("The answer is 42. the answer is B")
    (own,) = scored(reference, [(ids[:1], ids[1:])])
    answer = served.client().completions.create(
        model="tiny", prompt=[ids], max_tokens=0, echo=True, logprobs=1, temperature=0
    )
    (choice,) = answer.choices
    assert choice.text == "The answer is 42. the answer is B"
    assert choice.logprobs is not None
    assert choice.logprobs.token_logprobs is not None
    assert choice.logprobs.top_logprobs is not None
    assert choice.logprobs.token_logprobs[0] is None
    assert tuple(choice.logprobs.token_logprobs[1:]) == own.log_likelihoods
    tops = choice.logprobs.top_logprobs[1:]
    assert tuple(max(top.values()) == value for top, value in zip(tops, own.log_likelihoods, strict=True)) == own.greedy


def test_a_prompt_that_is_scored_only_may_fill_the_context(served: Served) -> None:
    body = {"prompt": [5] * (CONTEXT + 1), "max_tokens": 0, "echo": True, "logprobs": 1}
    (choice,) = served.post("/v1/completions", body).json["choices"]
    assert len(choice["logprobs"]["token_logprobs"]) == CONTEXT + 1
    served.post("/v1/completions", {**body, "prompt": [5] * CONTEXT, "max_tokens": 1}).refused(400, "shorten it")
    assert served.post("/v1/completions", {**body, "prompt": [5] * (CONTEXT - 1), "max_tokens": 1}).status == 200


def test_echo_with_a_token_more_appends_it(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode(PROMPT)
    answer = served.client().completions.create(
        model="tiny", prompt=[ids, ids[:1]], max_tokens=1, echo=True, logprobs=3, temperature=0
    )
    for choice, length in zip(answer.choices, (len(ids), 1), strict=True):
        assert choice.logprobs is not None
        shown = choice.logprobs
        assert [len(column or ()) for column in (shown.tokens, shown.token_logprobs, shown.top_logprobs)] == [
            length + 1
        ] * 3
        assert shown.token_logprobs is not None
        assert shown.top_logprobs is not None
        # The token behind the prompt was drawn greedily.
        assert shown.token_logprobs[-1] == max(shown.top_logprobs[-1].values())
        assert len(shown.top_logprobs[-1]) == 3


def test_greedy_continuations_are_told_as_greedy(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode(PROMPT)
    own = generated(reference, ids, max_tokens=5)
    answer = served.client().completions.create(
        model="tiny", prompt=[[*ids, *own.ids]], max_tokens=1, echo=True, logprobs=1, temperature=0
    )
    shown = answer.choices[0].logprobs
    assert shown is not None
    assert shown.token_logprobs is not None
    assert shown.top_logprobs is not None
    for value, top in list(zip(shown.token_logprobs, shown.top_logprobs, strict=True))[len(ids) : -1]:
        assert value == max(top.values())


def test_a_stream_with_log_probabilities_has_them_all(served: Served) -> None:
    request: dict[str, Any] = {
        "model": "tiny", "prompt": PROMPT, "max_tokens": 10, "temperature": 0, "logprobs": 2, "echo": True
    }  # fmt: skip
    (whole,) = served.client().completions.create(**request).choices
    (event,) = served.client().completions.create(**request, stream=True)
    assert event.choices[0] == whole


def test_a_chat_shows_log_probabilities_in_its_own_form(served: Served, reference: StackBackend) -> None:
    messages: list[Any] = [{"role": "user", "content": "How many?"}]
    answer = served.client().chat.completions.create(
        model="tiny", messages=messages, max_tokens=6, temperature=0, logprobs=True, top_logprobs=3
    )
    (choice,) = answer.choices
    ids = served.post("/tokenize", {"messages": messages}).json["tokens"]
    own = generated(reference, ids, max_tokens=6, log_probabilities=3)
    assert choice.message.content == own.text
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert [token.logprob for token in content] == pytest.approx(own.log_probabilities, abs=1e-4)
    assert all(len(token.top_logprobs) == 3 for token in content)
    assert all(token.top_logprobs[0].logprob == token.logprob for token in content)


# --------------------------------------------------------------------------- chats


def test_a_chat_is_rendered_with_the_model_s_template(served: Served, reference: StackBackend) -> None:
    text = "[system] Be brief.\n[user] How many?\n[assistant]"
    own = generated(reference, reference.tokenizer.encode(text))
    answer = served.client().chat.completions.create(
        model="tiny", max_tokens=20, temperature=0,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}],
    )  # fmt: skip
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == own.text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(reference.tokenizer.encode(text))


def test_the_template_shows_the_tools_of_a_chat(served: Served, reference: StackBackend) -> None:
    tool: Any = {"type": "function", "function": {"name": "add", "description": "", "parameters": {"type": "object"}}}
    for choice, shown in (("auto", "[tool] add\n"), ("none", "")):
        text = f"{shown}[user] How many?\n[assistant]"
        answer = served.client().chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "How many?"}], tools=[tool], tool_choice=choice,
            max_tokens=20, temperature=0,
        )  # fmt: skip
        assert answer.choices[0].message.content == generated(reference, reference.tokenizer.encode(text)).text
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == len(reference.tokenizer.encode(text))


def test_a_streamed_chat_says_what_the_whole_says_and_its_usage(served: Served) -> None:
    request: dict[str, Any] = {
        "model": "tiny", "messages": [{"role": "user", "content": "How many?"}], "max_tokens": 40, "n": 3, "seed": 5,
        "temperature": 1.3, "stop": ["the"],
    }  # fmt: skip
    whole = served.client().chat.completions.create(**request)
    texts, ends, usage = [""] * 3, [""] * 3, None
    roles = []
    for event in served.client().chat.completions.create(
        **request, stream=True, stream_options={"include_usage": True}
    ):
        for choice in event.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] += choice.finish_reason or ""
            roles += [choice.delta.role] if choice.delta.role else []
        usage = event.usage or usage
    assert texts == [choice.message.content for choice in whole.choices]
    assert ends == [choice.finish_reason for choice in whole.choices]
    assert roles == ["assistant"] * 3
    assert usage == whole.usage


def test_without_a_limit_a_chat_may_fill_the_context(served: Served) -> None:
    answer = served.client().chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Go on."}], temperature=0
    )
    assert answer.usage is not None
    assert answer.choices[0].finish_reason == "stop" or answer.usage.total_tokens == CONTEXT


def test_a_next_turn_reads_only_what_is_new(llama: Path) -> None:
    backend = stack.load(str(llama), threads=1, kv_memory=0.05)
    with serving(backend) as served:
        turns = [{"role": "user", "content": "Question: How many rolls does the baker sell in 3 hours? " * 3}]
        for _ in range(2):
            backend.report()
            said = served.post("/v1/chat/completions", {"messages": turns, "max_tokens": 8, "temperature": 0}).json
            turns += [{"role": "assistant", "content": said["choices"][0]["message"]["content"]}]
            turns += [{"role": "user", "content": "And?"}]
        told, _ = backend.report()
    assert told["tokens_computed"] < told["tokens_requested"] / 2


def test_64_clients_at_once_get_what_each_gets_alone(served: Served, reference: StackBackend) -> None:
    prompts = [f"Question: How many rolls in {number} hours?\nAnswer:" for number in range(64)]
    alone = [generated(reference, reference.tokenizer.encode(prompt), max_tokens=12).ids for prompt in prompts]

    async def clients() -> list[list[int]]:
        async with AsyncOpenAI(base_url=served.address, api_key="none", max_retries=0) as client:

            async def one(prompt: str) -> list[int]:
                ids: list[int] = []
                stream = await client.completions.create(
                    model="tiny", prompt=prompt, max_tokens=12, temperature=0, stream=True,
                    extra_body={"return_token_ids": True},
                )  # fmt: skip
                async for event in stream:
                    ids += event.choices[0].token_ids  # type: ignore[attr-defined]
                return ids

            return await asyncio.gather(*map(one, prompts))

    assert asyncio.run(clients()) == [list(ids) for ids in alone]


def test_scores_do_not_wait_while_texts_keep_coming(served: Served) -> None:
    """Scores are exact and texts fast unless told otherwise: two engines that take turns."""
    scored = threading.Event()

    def talk() -> None:
        while not scored.is_set():
            served.post("/v1/completions", {"prompt": "Go on.", "max_tokens": 30})

    talking = [threading.Thread(target=talk) for _ in range(4)]
    for thread in talking:
        thread.start()
    try:
        assert served.post("/v1/completions", {"prompt": "The answer", "max_tokens": 0, "echo": True, "logprobs": 1})
    finally:
        scored.set()
        for thread in talking:
            thread.join()


# --------------------------------------------------------------------------- tokens, models, refusals


def test_tokens_of_a_text_and_back(served: Served, reference: StackBackend) -> None:
    ids = reference.tokenizer.encode(PROMPT)
    assert served.post("/tokenize", {"prompt": PROMPT}).json == {"tokens": ids, "count": len(ids), "max_model_len": 256}
    assert served.post("/detokenize", {"tokens": ids}).json == {"prompt": PROMPT}
    turns = [{"role": "user", "content": "How many?"}]
    rendered = served.post("/tokenize", {"messages": turns}).json["tokens"]
    assert reference.tokenizer.decode(rendered) == "[user] How many?\n[assistant]"


def test_facts_on_the_tokenizer(served: Served) -> None:
    facts = served.get("/tokenizer_info").json
    assert (facts["eos_token"], facts["bos_token"], facts["add_bos_token"]) == ("</s>", "<s>", False)


def test_the_model_is_listed(served: Served) -> None:
    (model,) = served.client().models.list()
    assert model.id == "tiny"
    assert served.client().models.retrieve("tiny") == model
    assert served.get("/health").json == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"prompt": "a" * 3000}, "the model's context holds 256 with the answer; shorten it."),
        ({"prompt": [5] * 258, "max_tokens": 0, "echo": True, "logprobs": 1}, "the prompt has 258 tokens"),
        ({"prompt": "Hello", "max_tokens": 1000}, "has room for"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": [5000]}, "outside the model's vocabulary"),
        ({"prompt": "a", "logit_bias": {"5000": 1}}, "outside the model's vocabulary"),
        ({"prompt": "a", "temprature": 1}, "did you mean 'temperature'"),
        ({"prompt": "a", "stream": True, "logit_bias": {"5000": 1}}, "outside the model's vocabulary"),
    ],
)
def test_a_wrong_request_is_one_sentence(served: Served, body: dict[str, Any], sentence: str) -> None:
    said = served.post("/v1/completions", body).refused(400, sentence)
    assert said.endswith(("?", "."))


def test_bad_json_is_one_sentence(served: Served) -> None:
    served.post("/v1/chat/completions", b'{"messages": [').refused(400, "the request is not JSON")


def test_another_model_is_not_found(served: Served) -> None:
    served.post("/v1/completions", {"model": "tine", "prompt": "a"}).refused(404, "did you mean 'tiny'?")
    served.get("/v1/models/other").refused(404, "'other' is not served here")


def test_another_address_is_not_found(served: Served) -> None:
    served.get("/v1/embeddings").refused(404, "/v1/embeddings: no such address")
    served.get("/v1/completions").refused(405, "GET is not what")


def test_requests_are_counted(served: Served) -> None:
    ended = 'evalharness_requests_total{endpoint="/v1/completions",status="200"}'
    before = served.metric(ended), served.metric("evalharness_generated_tokens_total")
    firsts = served.metric("evalharness_time_to_first_token_seconds_count")
    served.post("/v1/completions", {"prompt": "Zoë", "max_tokens": 1, "stream": True})
    served.until(lambda: served.metric(ended) == before[0] + 1)
    assert served.metric("evalharness_generated_tokens_total") == before[1] + 1
    assert served.metric("evalharness_time_to_first_token_seconds_count") == firsts + 1
    assert served.metric("evalharness_requests_running") == 0
    assert served.metric("evalharness_requests_queued") == 0
    assert served.metric('evalharness_request_seconds_count{endpoint="/v1/completions"}') >= 1
