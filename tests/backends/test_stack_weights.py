"""`--weights` for models of the stack: answers near the whole ones, the same bits in exact, and what is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from backends import tiny_models
from backends.tickets import answer, generate, score

from evalharness.backends import stack
from evalharness.errors import UsageError

WEIGHTS = ("int8", "int4")
NEAR = {"int8": 0.15, "int4": 1.5}
"""Nats that a log-likelihood of these random weights may be off."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write("llama", tmp_path_factory.mktemp("model") / "llama")


def ids(length: int, seed: int) -> list[int]:
    drawn = random.Random(seed)
    return [drawn.randrange(2, 250) for _ in range(length)]


def likelihoods(backend, asked):
    tickets = [score(*each) for each in asked]
    answer(backend, tickets)
    return [ticket.likelihood.log_likelihoods for ticket in tickets]


ASKED = [(ids(length, length), start) for length, start in ((2, 1), (12, 11), (30, 4), (40, 1), (7, 3))]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_scores_are_near_those_of_whole_weights(folder, weights):
    whole, small = (likelihoods(stack.load(str(folder), weights=given), ASKED) for given in (None, weights))
    off = [abs(a - b) for one, other in zip(whole, small, strict=True) for a, b in zip(one, other, strict=True)]
    assert 1e-4 < max(off) < NEAR[weights]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_in_exact_scores_have_the_same_bits_alone_and_together(folder, weights):
    backend = stack.load(str(folder), weights=weights)
    assert backend.info.numerics == "exact scores, fast texts"
    together = likelihoods(backend, ASKED)
    alone = [likelihoods(stack.load(str(folder), weights=weights), [each])[0] for each in reversed(ASKED)]
    assert together == alone[::-1]
    one_by_one = likelihoods(stack.load(str(folder), weights=weights, batch_tokens=3), ASKED)
    assert together == one_by_one


@pytest.mark.parametrize("weights", WEIGHTS)
def test_texts_have_the_same_tokens_alone_and_together_in_exact(folder, weights):
    prompts = [ids(length, length) for length in (3, 9, 20)]
    found = []
    for waves in ([prompts], [[prompt] for prompt in prompts]):
        backend = stack.load(str(folder), weights=weights, numerics="exact")
        tickets = [[generate(prompt, max_tokens=10, log_probabilities=0) for prompt in wave] for wave in waves]
        for wave in tickets:
            answer(backend, wave)
        found.append([(ticket.texts[0].ids, ticket.texts[0].log_probabilities) for wave in tickets for ticket in wave])
    assert found[0] == found[1]


def test_the_record_says_so(folder):
    whole, eight, four = (stack.load(str(folder), weights=weights).info for weights in (None, *WEIGHTS))
    assert (whole.name, eight.name, four.name) == ("llama (F32)", "llama (F32, int8)", "llama (F32, int4)")
    assert "weights" not in whole.details
    assert eight.details == whole.details | {"weights": "int8"}
    assert len({whole.fingerprint, eight.fingerprint, four.fingerprint}) == 3
    assert stack.load(str(folder), weights="int8").info.fingerprint == eight.fingerprint
    assert stack.load(str(folder), weights="stored").info == whole


@pytest.mark.parametrize("weights", WEIGHTS)
def test_an_adapter_is_merged_before(folder, tmp_path, weights):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_models.model("llama"), config).save_pretrained(tmp_path / "tuned")
    adapter = str(tmp_path / "tuned")
    stack.convert(str(folder), tmp_path / "merged", adapter=adapter)
    at_once = stack.load(str(folder), weights=weights, adapter=adapter)
    assert at_once.info.name == f"llama + tuned (F32, {weights})"
    assert likelihoods(at_once, ASKED) == likelihoods(stack.load(str(tmp_path / "merged"), weights=weights), ASKED)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a width that no group of four bits divides."""
    import transformers

    folder = tmp_path_factory.mktemp("model") / "odd"
    vocabulary = tiny_models.tokenizer()
    sizes = {"vocab_size": len(vocabulary), "hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 2}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, num_hidden_layers=1)).save_pretrained(folder)
    vocabulary.save_pretrained(folder)
    return folder


def test_groups_that_do_not_divide_are_refused(odd):
    with pytest.raises(UsageError) as error:
        stack.load(str(odd), weights="int4")
    assert str(error.value) == (
        "--weights int4: odd has products of 48 inputs, which groups of 32 do not divide; int8 takes any number."
    )
    assert likelihoods(stack.load(str(odd), weights="int8"), ASKED[:1])


def test_weights_of_no_kind_are_refused(folder):
    with pytest.raises(UsageError, match=r"^--weights int5: no such weights; did you mean 'int"):
        stack.load(str(folder), weights="int5")


def test_exact_on_a_gpu_is_refused(folder):
    pytest.importorskip("triton", reason="without Triton nothing is exact on a GPU")
    with pytest.raises(UsageError, match=r"^--weights int8 on cuda: its products there have other bits"):
        stack.load(str(folder), weights="int8", device="cuda", numerics="exact")
