"""A sample as a line and back: nothing that scoring looks at is lost."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from evalharness.records.encode import attempts_of, reference_of, sample_line
from evalharness.records.sample import SampleRecord
from evalharness.records.strict_json import one_line, parse
from evalharness.scoring.apply import Scored
from evalharness.types import (
    Attempt,
    Call,
    Completion,
    Likelihood,
    LoopStep,
    Parsed,
    Prompt,
    Reference,
    Sample,
    Sampling,
    Score,
    ToolSchema,
    ToolUse,
    Verdict,
)

SAMPLE = Sample(id="s/7", index=7, row={"q": "?"}, content_hash="c0", subset="s")


def encoded(
    attempts: list[Attempt],
    scoreds: list[Scored] | None = None,
    *,
    reference: Reference | None = None,
    reduced: dict[str, Score] | None = None,
    flags: tuple[str, ...] = (),
    error: str | None = None,
) -> dict[str, Any]:
    return sample_line(
        task="t",
        sample=SAMPLE,
        reference=reference or Reference(),
        attempts=attempts,
        scoreds=scoreds or [Scored(None) for _ in attempts],
        reduced=reduced or {},
        flags=flags,
        error=error,
    )


# --------------------------------------------------------------------------- round trip

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False)  # NaN has no equality; test_strict_json.py has it
likelihoods = st.lists(st.tuples(numbers, st.booleans()), max_size=4).map(
    lambda pairs: Likelihood(tuple(value for value, _ in pairs), tuple(greedy for _, greedy in pairs))
)
sums = numbers.map(lambda value: Likelihood((value,), ()))
samplings = st.builds(
    Sampling,
    max_tokens=st.integers(1, 99),
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.integers(0, 50),
    stop=st.lists(texts, max_size=2).map(tuple),
    seed=st.integers(0, 2**48),
)
completions = st.builds(
    Completion,
    text=texts,
    ids=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    finish_reason=st.sampled_from(["stop", "eos", "length", "cancelled", "unknown"]),
    stop=st.none() | texts,
    log_probabilities=st.none() | st.lists(numbers, max_size=3).map(tuple),
    reasoning=st.none() | texts,
    tool_calls=st.lists(st.dictionaries(texts, texts | st.integers(), max_size=2), max_size=1).map(tuple),
)
prompts = st.builds(
    Prompt,
    messages=st.just(()),
    text=texts,
    ids=st.none() | st.lists(st.integers(0, 9), max_size=3).map(tuple),
    cut=st.integers(0, 3),
    tools=st.lists(
        st.builds(ToolSchema, name=texts, description=texts, parameters=st.dictionaries(texts, texts, max_size=2)),
        max_size=1,
    ).map(tuple),
)
generations = st.builds(
    Call, prompt=prompts, sampling=samplings, completions=st.lists(completions, max_size=3).map(tuple)
)
scorings = st.builds(
    Call,
    prompt=prompts,
    continuations=st.lists(texts, max_size=3).map(tuple),
    likelihoods=st.lists(likelihoods | sums, max_size=3).map(tuple),
)
calls = st.lists(generations | scorings, max_size=3).map(tuple)
attempts = st.one_of(
    # What the methods bring back: the last call's texts or likelihoods.
    calls.map(
        lambda made: Attempt(
            calls=made,
            candidates=tuple(completion.text for completion in made[-1].completions) if made else (),
            likelihoods=made[-1].likelihoods if made else (),
        )
    ),
    # And anything else.
    st.builds(
        Attempt,
        calls=calls,
        candidates=st.lists(texts, max_size=3).map(tuple),
        likelihoods=st.lists(likelihoods | sums, max_size=2).map(tuple),
    ),
)
values = texts | st.integers() | st.none() | st.booleans()
details = st.dictionaries(texts, values, max_size=2)
verdicts = st.builds(
    Verdict,
    judge=texts,
    candidate=st.integers(0, 9),
    label=texts,
    explanation=st.none() | texts,
    details=details,
)
tool_uses = st.builds(
    ToolUse,
    tool=texts,
    arguments=details,
    result=texts,
    status=st.just("ok") | texts,
    details=details,
    step=st.none() | st.integers(1, 9),
)
steps = st.builds(
    LoopStep,
    thought=texts,
    action=texts,
    observation=st.none() | texts,
    status=st.just("ok") | texts,
    again=st.none() | texts,
)
judged = st.builds(
    lambda attempt, said, used, looped: replace(
        attempt, verdicts=tuple(said), tool_uses=tuple(used), steps=tuple(looped)
    ),
    attempts,
    st.lists(verdicts, max_size=2),
    st.lists(tool_uses, max_size=2),
    st.lists(steps, max_size=2),
)
references = st.builds(
    Reference,
    target=st.none() | texts | st.integers(0, 9) | st.lists(texts, max_size=3).map(tuple),
    choices=st.lists(texts, max_size=3).map(tuple),
    units=st.dictionaries(texts, st.integers(0, 99), max_size=3),
    facts=st.dictionaries(texts, st.booleans() | texts | st.lists(st.integers(0, 9), max_size=3), max_size=3),
)


def without_ids(attempt: Attempt) -> Attempt:
    """What a line keeps of an attempt."""
    return replace(
        attempt,
        calls=tuple(
            replace(
                call,
                prompt=replace(call.prompt, ids=None),
                completions=tuple(replace(completion, ids=()) for completion in call.completions),
            )
            for call in attempt.calls
        ),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(judged, max_size=3), references)
def test_attempts_and_reference_come_back(given_attempts: list[Attempt], reference: Reference) -> None:
    line = parse(one_line(encoded(given_attempts, reference=reference)))
    assert line is not None
    assert attempts_of(line) == [without_ids(attempt) for attempt in given_attempts]
    assert reference_of(line) == reference
    assert len(line["completions"]) == sum(len(c.completions) for a in given_attempts for c in a.calls)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(attempts, max_size=2), references)
def test_the_schema_describes_every_line(given_attempts: list[Attempt], reference: Reference) -> None:
    scoreds = [
        Scored(Parsed("x", (0, 1)), {"x": 2}, {"m": Score(float("nan"))}),
        Scored(Parsed(None, None, "nothing"), {}, {"m": Score(0.0)}),
    ][: len(given_attempts)]
    reduced = {"m": Score(float("inf"), 2.0)}
    line = json.loads(one_line(encoded(given_attempts, scoreds, reference=reference, reduced=reduced, flags=("cut",))))
    SampleRecord.model_validate(line, strict=True)
    assert undescribed(line, SampleRecord) == []


def undescribed(value: dict[str, Any], model: type[BaseModel]) -> list[str]:
    """Keys of a line that its model has no field for, at any depth."""
    from evalharness.records.sample import CallRecord, CompletionRecord, RepeatRecord, SamplingRecord

    parts = {"repeats": RepeatRecord, "calls": CallRecord, "sampling": SamplingRecord, "completions": CompletionRecord}
    found = [key for key in value if key not in model.model_fields]
    for key, part in parts.items():
        inner = value.get(key, [])
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, dict):
                found += undescribed(item, part)
    return found


# --------------------------------------------------------------------------- single keys

PROMPT = Prompt(messages=(), text="?", ids=(1, 2, 3))


def generated(*words: str) -> Call:
    return Call(prompt=PROMPT, sampling=Sampling(max_tokens=4), completions=tuple(Completion(text=w) for w in words))


def test_the_keys_that_other_tools_read() -> None:
    likelihoods = (Likelihood((-1.0, -2.0), (True, False)), Likelihood((-0.5,), (True,)), Likelihood((-4.0,), ()))
    attempt = Attempt(
        calls=(Call(prompt=PROMPT, continuations=(" a", " b", " c"), likelihoods=likelihoods),), likelihoods=likelihoods
    )
    line = encoded([attempt], reference=Reference(target=1, choices=("a", "b", "c")), reduced={"acc": Score(1.0)})
    assert {key: line[key] for key in list(line)[:-1]} == {
        "task": "t",
        "id": "s/7",
        "index": 7,
        "subset": "s",
        "content_hash": "c0",
        "target": 1,
        "choices": ["a", "b", "c"],
        "completions": [],
        "log_likelihoods": [-3.0, -0.5, -4.0],
        "greedy": [False, True, None],
        "answer": None,
        "scores": {"acc": 1.0},
        "flags": [],
    }
    assert list(line)[-1] == "repeats"
    assert line["repeats"][0]["calls"][0]["tokens"] == 3
    assert "likelihoods" not in line["repeats"][0]


def test_how_a_text_was_drawn_and_what_is_told_of_it_come_back() -> None:
    sampling = Sampling(
        max_tokens=4, temperature=1.0, min_p=0.1, repetition_penalty=1.2, logit_bias=((3, -2.0),), log_probabilities=1
    )
    completion = Completion(text="a", log_probabilities=(-0.5, -math.inf), likeliest=(((7, -0.5),), ((9, 0.0),)))
    line = encoded([Attempt(calls=(Call(prompt=PROMPT, sampling=sampling, completions=(completion,)),))])
    again = parse(one_line(line))
    assert "presence_penalty" not in again["repeats"][0]["calls"][0]["sampling"]
    (call,) = attempts_of(again)[0].calls
    assert (call.sampling, call.completions) == (sampling, (completion,))


def test_the_fixed_keys_are_there_when_a_sample_failed() -> None:
    line = encoded([], flags=("errored",), error="it broke.")
    assert {"task", "id", "index", "completions", "log_likelihoods", "answer", "target", "scores"} <= line.keys()
    assert (line["error"], line["flags"], line["repeats"]) == ("it broke.", ["errored"], [])


def test_completions_are_by_repeat_then_call() -> None:
    line = encoded([Attempt(calls=(generated("a"), generated("b", "c"))), Attempt(calls=(generated("d"),))])
    assert line["completions"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        (["7"], "7"),
        ([None], None),
        (["1", "2", "2"], "2"),
        (["2", "1"], "2"),
        ([None, "3", None], "3"),
        ([], None),
    ],
)
def test_the_answer_is_that_of_most_repeats(values: list[str | None], answer: str | None) -> None:
    scoreds = [Scored(Parsed(value)) for value in values]
    assert encoded([Attempt(calls=()) for _ in values], scoreds)["answer"] == answer


def test_flags_have_one_order_and_weights_only_where_they_count() -> None:
    line = encoded([], reduced={"a": Score(1.0), "b": Score(2.0, 5.0)}, flags=("cut", "empty", "unparsed"))
    assert line["flags"] == ["unparsed", "empty", "cut"]
    assert line["weights"] == {"b": 5.0}
    assert "weights" not in encoded([], reduced={"a": Score(1.0)})


def test_votes_and_candidates_only_where_they_say_something() -> None:
    one = Attempt(calls=(generated("a"),), candidates=("a",))
    many = Attempt(calls=(generated("a", "b"),), candidates=("a", "b"))
    other = Attempt(calls=(generated("a"),), candidates=("cut",))
    votes = Scored(Parsed("a", (0, 1)), {"a": 1, "b": 1})
    first, second, third = encoded([one, many, other], [votes] * 3)["repeats"]
    assert "votes" not in first
    assert "candidates" not in first
    assert second["votes"] == {"a": 1, "b": 1}
    assert "candidates" not in second
    assert third["candidates"] == ["cut"]


def test_explanations_are_kept_of_the_metrics_that_are_named() -> None:
    scores = {"calls": Score(0.0, explanation="wrong_count: 1 call is made"), "acc": Score(0.0, explanation="a tie")}
    line = sample_line(
        task="t", sample=SAMPLE, reference=Reference(), attempts=[Attempt(calls=())] * 2,
        scoreds=[Scored(None, scores=scores), Scored(None, scores={"calls": Score(1.0)})], reduced={}, flags=(),
        explained=("calls",),
    )  # fmt: skip
    assert line["repeats"][0]["explanations"] == {"calls": "wrong_count: 1 call is made"}
    assert "explanations" not in line["repeats"][1]
    assert "explanations" not in encoded([Attempt(calls=())], [Scored(None, scores=scores)])["repeats"][0]
    SampleRecord.model_validate(line)
