"""The stack's models in the plain loop: the same answers as the library gives, and what only the engine can do."""

from __future__ import annotations

import functools
import random
from contextlib import closing

import pytest
from backends import tiny_models
from backends.tickets import Tickets, answer, generate, score

from evalharness.backends import stack
from evalharness.backends.transformers import load as load_theirs
from evalharness.errors import DataError, UsageError

FAMILIES = ("t5", "mamba")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By family: the folder of a tiny model, written at the first call."""
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda family: tiny_models.write(family, root / family))


@pytest.fixture(scope="module")
def ours(folders):
    """By family: our backend."""
    return functools.cache(lambda family: stack.load(str(folders(family))))


@pytest.fixture(scope="module")
def theirs(folders):
    """By family: the library's."""
    return functools.cache(lambda family: load_theirs(str(folders(family)), device="cpu"))


def ids(length: int, seed: int = 0) -> list[int]:
    drawn = random.Random(1000 * length + seed)
    return [drawn.randrange(2, 250) for _ in range(length)]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_library(ours, theirs, family):
    asked = [(ids(length, seed), start) for seed, (length, start) in enumerate(((2, 1), (9, 8), (20, 3), (31, 15)))]
    asked += [([*ids(20, 2)[:3], *ids(length, 8)], 3) for length in (1, 1, 4)]
    pairs = [(score(*each), score(*each)) for each in asked]
    answer(ours(family), [one for one, _ in pairs])
    answer(theirs(family), [other for _, other in pairs])
    for one, other in pairs:
        assert one.likelihood.log_likelihoods == pytest.approx(other.likelihood.log_likelihoods, abs=1e-4)
        assert one.likelihood.greedy == other.likelihood.greedy
        assert one.begun == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"log_probabilities": 2, "stop": ("e",)},
        {"temperature": 0.7, "top_k": 7, "seed": 3},
        {"temperature": 1.3, "top_p": 0.8, "repetition_penalty": 1.3, "logit_bias": ((7, 2.0),)},
    ],
)
def test_texts_are_those_of_the_library(ours, theirs, family, options):
    pairs = [
        tuple(generate(ids(length, 3), n=2, max_tokens=12, **options) for _ in range(2)) for length in (3, 17, 8, 8)
    ]
    answer(ours(family), [one for one, _ in pairs])
    answer(theirs(family), [other for _, other in pairs])
    for one, other in pairs:
        for text, expected in zip(one.texts, other.texts, strict=True):
            assert (text.ids, text.text, text.stop) == (expected.ids, expected.text, expected.stop)
            assert text.finish_reason == expected.finish_reason
            if options.get("log_probabilities"):
                assert text.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)
                assert len(text.likeliest[0]) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_half_the_bits_say_nearly_the_same(folders, ours, family):
    asked = [(ids(30, seed), 12) for seed in range(3)]
    whole, half = ([score(*each) for each in asked] for _ in range(2))
    text = generate(ids(5), max_tokens=40, temperature=1.0, n=2)
    answer(ours(family), whole)
    with closing(stack.load(str(folders(family)), dtype="bf16")) as backend:
        answer(backend, [*half, text])
    for one, other in zip(whole, half, strict=True):
        assert one.likelihood.log_likelihoods == pytest.approx(other.likelihood.log_likelihoods, abs=0.15)
    assert len(text.texts) == 2


def test_requests_that_come_late_join_and_a_bad_one_fails_alone(ours):
    tickets = [score(ids(9), 5), score([5, 4000], 1), generate(ids(4)), generate(ids(4), regex="[ab]+")]
    late = [generate(ids(6)), score(ids(7), 2)]
    ours("t5").answer(Tickets(tickets, late))
    assert "a token id is outside the model's vocabulary" in str(tickets[1].error)
    assert isinstance(tickets[3].error, UsageError)
    assert str(tickets[3].error).startswith("regex: t5 (F32) runs in the plain loop, which holds no text to a grammar")
    assert all(ticket.result is not None for ticket in (tickets[0], tickets[2], *late))


def test_what_a_record_says_of_it(ours):
    info = ours("t5").info
    assert (info.name, info.kind, info.numerics, info.max_length) == ("t5 (F32)", "stack", "fast", 512)
    assert info.encoder_decoder
    assert not ours("mamba").info.encoder_decoder
    assert info.details["architecture"] == "t5"
    parameters = sum(parameter.numel() for parameter in tiny_models.model("t5").parameters())
    assert info.details["parameters"] == parameters
    report, tree = ours("t5").report()
    assert report["tokens_computed"] > 0
    assert report["peak_kv_bytes"] == 0
    assert tree


def test_an_encoder_reads_and_a_decoder_says_as_much_as_the_length_allows(folders):
    with closing(stack.load(str(folders("t5")), max_length=20)) as backend:
        fits, long = score(ids(40), 20), score(ids(40), 21)
        text, spoken = generate(ids(20), max_tokens=500), generate(ids(21))
        answer(backend, [fits, long, text, spoken])
        assert len(fits.likelihood.log_likelihoods) == 20
        assert isinstance(long.error, DataError)
        assert len(text.texts[0].ids) <= 20
        assert "21 tokens are more than the 20 that t5 (F32) takes" in str(spoken.error)


def test_relative_positions_reach_further_than_a_model_was_made_for(folders):
    with closing(stack.load(str(folders("t5")), max_length=900)) as backend:
        ticket = score(ids(700), 690)
        answer(backend, [ticket])
        assert len(ticket.likelihood.log_likelihoods) == 10


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"numerics": "exact"}, "--numerics exact"),
        ({"batch_tokens": 9}, "--batch-tokens"),
        ({"kv_memory": 1.0}, "--kv-mem"),
        ({"weights": "int8"}, "--weights"),
    ],
)
def test_options_of_the_engine_are_refused(folders, options, option):
    with pytest.raises(
        UsageError, match=rf"^{option}.*: t5 runs in the plain loop, and this is an option of the engine"
    ):
        stack.load(str(folders("t5")), **options)
    assert stack.load(str(folders("t5")), numerics="fast").info.numerics == "fast"
