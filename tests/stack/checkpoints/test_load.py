"""GGUF files of every family against transformers, and folders in the shapes that the hub has them."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from evalharness.stack.architectures.families.known import FAMILIES, config_from_hub
from evalharness.stack.checkpoints.gguf_models import tensor_names
from evalharness.stack.checkpoints.load import load_model, load_tokenizer, open_checkpoint
from evalharness.stack.errors import CheckpointError
from evalharness.stack.layers.attention import WholeSequence

TINY = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
CASES = {
    "llama": transformers.LlamaConfig(**TINY),
    "llama-llama3": transformers.LlamaConfig(**TINY, rope_parameters=LLAMA3),
    "llama-linear": transformers.LlamaConfig(**TINY, rope_parameters=LINEAR),
    "mistral": transformers.MistralConfig(**TINY, sliding_window=12),
    "qwen2": transformers.Qwen2Config(**TINY),
    "qwen3": transformers.Qwen3Config(**TINY, head_dim=32, tie_word_embeddings=True),
}


def logits(model, ids):
    with torch.inference_mode():
        return model.logits(model(ids, torch.arange(len(ids)), WholeSequence()))


def hub_model(case: str, folder):
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(CASES[case], attn_implementation="eager").eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.1
    model.save_pretrained(folder)
    return model


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to Llama's queries and keys: (i, i + D/2) become neighbours."""
    rows = weights.shape[0]
    return weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


@pytest.mark.parametrize("case", CASES)
def test_a_gguf_file_computes_what_transformers_computes(case, tmp_path, make_gguf):
    theirs = hub_model(case, tmp_path / "hub")
    values = json.loads((tmp_path / "hub" / "config.json").read_text())
    config = config_from_hub(values, "config.json")
    family = "llama" if config.architecture == "mistral" else config.architecture
    stored = load_file(tmp_path / "hub" / "model.safetensors")
    hub = {rule.ours[0]: rule.stored[0] for rule in FAMILIES[config.architecture].rules(config, ())}
    tensors = {name: stored[hub[ours]].numpy() for ours, name in tensor_names(config)}
    if family == "llama":
        for name in tensors:
            if ".attn_q." in name or ".attn_k." in name:
                tensors[name] = permuted(tensors[name], config.heads if ".attn_q." in name else config.kv_heads)
    if case == "llama-llama3":
        divisors = theirs.model.rotary_emb.inv_freq
        plain = 1 / 500_000.0 ** (torch.arange(0, config.head_dim, 2) / config.head_dim)
        tensors["rope_freqs.weight"] = (plain / divisors).numpy()
    sizes = {
        "context_length": config.max_length,
        "embedding_length": config.width,
        "block_count": config.layers,
        "feed_forward_length": config.ffn_width,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": config.norm_epsilon,
        "rope.freq_base": config.rope_theta,
    }
    if case == "mistral":
        sizes["attention.sliding_window"] = 12
    if case == "llama-linear":
        sizes |= {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}
    path = tmp_path / "model.gguf"
    make_gguf(path, family, sizes, {"ggml.eos_token_id": 7, "ggml.eot_token_id": 9}, tensors)
    model, read = load_model(path)
    assert (read.eos_ids, read.architecture, read.rope_scaling) == ((7, 9), config.architecture, config.rope_scaling)
    ids = torch.randint(0, 100, (60,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(logits(model, ids), theirs(ids[None]).logits[0], atol=1e-4, rtol=0)


def test_a_sharded_folder_is_one_model(tmp_path):
    theirs = hub_model("qwen2", tmp_path / "one")
    theirs.save_pretrained(tmp_path / "many", max_shard_size="50KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    one, many = open_checkpoint(tmp_path / "one"), open_checkpoint(tmp_path / "many")
    assert many.parameters == one.parameters == sum(p.numel() for p in theirs.parameters())
    assert (many.quantisation, many.name) == ("F32", "many")
    ids = torch.arange(20)
    torch.testing.assert_close(logits(load_model(many.path)[0], ids), logits(load_model(one.path)[0], ids))
    next((tmp_path / "many").glob("*-00002-of-*")).unlink()
    with pytest.raises(CheckpointError, match=r"-00002-of-.* is missing, but model\.safetensors\.index\.json names it"):
        load_model(tmp_path / "many")


def test_the_fingerprint_is_of_the_weights_and_the_configuration(tmp_path):
    hub_model("llama", tmp_path / "a")
    hub_model("llama", tmp_path / "b")
    first = open_checkpoint(tmp_path / "a").fingerprint()
    assert open_checkpoint(tmp_path / "b").fingerprint() == first
    data = bytearray((tmp_path / "b" / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "b" / "model.safetensors").write_bytes(data)
    assert open_checkpoint(tmp_path / "b").fingerprint() != first


def test_generation_config_says_what_ends_a_text(tmp_path):
    hub_model("llama", tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert open_checkpoint(tmp_path).config.eos_ids == (5, 6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_cast(tmp_path, dtype):
    hub_model("llama", tmp_path)
    model, _ = load_model(tmp_path, dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert logits(model, torch.arange(5)).dtype == torch.float32


def test_what_is_no_checkpoint_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing does not exist; give a \.gguf file or a Hugging Face folder"):
        open_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        load_tokenizer(tmp_path)
    hub_model("llama", tmp_path)
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:500])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read as safetensors"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors and no model\.safetensors\.index\.json"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is not valid JSON"):
        load_model(tmp_path)


@pytest.mark.model
def test_the_embedded_model_dequantises_as_the_reference_does(smollm2):
    checkpoint = open_checkpoint(smollm2)
    assert (checkpoint.name, checkpoint.quantisation) == ("SmolLM2-135M-Instruct", "Q4_1")
    reference = {tensor.name: tensor for tensor in gguf.GGUFReader(smollm2).tensors}
    names = dict(tensor_names(checkpoint.config))
    for ours, tensor in checkpoint.tensors():
        theirs = reference[names[ours]]
        expected = gguf.quants.dequantize(theirs.data, theirs.tensor_type)
        if ".attn_q." in names[ours]:
            found = permuted(tensor.numpy(), checkpoint.config.heads)
        elif ".attn_k." in names[ours]:
            found = permuted(tensor.numpy(), checkpoint.config.kv_heads)
        else:
            found = tensor.numpy()
        np.testing.assert_array_equal(found, expected.reshape(found.shape))
