"""Counted tokens: the distinct ones are the nodes of a prefix tree, built here the slow way."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from evalharness.run.accounting import Usage
from evalharness.types import (
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Sampling,
    ScoreRequest,
)

ORIGIN = Origin(task="t", sample_id="0", index=0)

# Few different tokens, so that prefixes are shared; large ones too, so that every byte of a token matters.
sequences = st.lists(st.lists(st.sampled_from([0, 1, 2, 255, 256, 65536, 2**31]), min_size=1, max_size=8), max_size=30)


def scored(ids: Sequence[int]) -> ScoreRequest:
    context = Prompt(messages=(), text="")
    return ScoreRequest(origin=ORIGIN, context=context, continuation="", ids=tuple(ids), start=1)


def generated(ids: Sequence[int] | None) -> GenerateRequest:
    prompt = Prompt(messages=(), text="", ids=None if ids is None else tuple(ids))
    return GenerateRequest(origin=ORIGIN, prompt=prompt, sampling=Sampling(max_tokens=1))


def nodes(sequences: Sequence[Sequence[int]]) -> int:
    return len({tuple(ids[:end]) for ids in sequences for end in range(1, len(ids) + 1)})


@given(sequences)
def test_distinct_tokens_of_prompts_are_the_nodes_of_a_trie(asked: list[list[int]]) -> None:
    usage = Usage()
    for ids in asked:
        usage.asked(generated(ids))
    assert usage.distinct_tokens == nodes(asked)
    assert usage.prompt_tokens == sum(map(len, asked))
    assert usage.requests == len(asked)


@given(sequences)
def test_the_last_token_of_a_scored_sequence_is_never_fed(asked: list[list[int]]) -> None:
    usage = Usage()
    for ids in asked:
        usage.asked(scored(ids))
    assert usage.distinct_tokens == nodes([ids[:-1] for ids in asked])
    assert usage.prompt_tokens == sum(len(ids) - 1 for ids in asked)


def test_generated_tokens_and_the_longest() -> None:
    usage = Usage()
    for lengths in ([3, 1], [7]):
        usage.answered(
            generated([1, 2, 3]),
            Completions(tuple(Completion(text="", ids=tuple(range(length))) for length in lengths)),
        )
    usage.answered(scored([1, 2, 3]), Likelihood((-1.0,), (True,)))
    assert (usage.generated_tokens, usage.longest) == (11, 7)


def test_without_a_tokenizer_only_requests_are_counted() -> None:
    usage = Usage()
    usage.asked(generated(None))
    assert usage.counts() == {"requests": 1, "prompt_tokens": 0, "distinct_tokens": 0, "generated_tokens": 0}
