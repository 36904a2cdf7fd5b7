"""What `convert` writes is what transformers and we read back."""

from __future__ import annotations

import json

import pytest
import torch
import transformers

from evalharness.stack.checkpoints.convert import convert
from evalharness.stack.checkpoints.load import load_model, load_tokenizer, open_checkpoint
from evalharness.stack.errors import CheckpointError
from evalharness.stack.layers.attention import WholeSequence

TEXTS = ["x  12", "year 2020  99\n\n3", "<|im_start|>user\nhé 🙂<|im_end|>\n", " a\tb", ""]


@pytest.mark.model
def test_the_embedded_model_becomes_a_folder_that_transformers_loads(smollm2, tmp_path):
    folder = tmp_path / "smollm2"
    convert(smollm2, folder)
    ours, theirs = load_tokenizer(smollm2), transformers.AutoTokenizer.from_pretrained(folder)
    assert [theirs(text).input_ids for text in TEXTS] == [ours.encode(text) for text in TEXTS]
    assert ours.encode("x  12") == [104, 256, 33, 34]
    assert ours.encode("year 2020  99\n\n3") == [3610, 216, 34, 32, 34, 32, 256, 41, 41, 1116, 35]
    assert (theirs.eos_token_id, theirs.bos_token_id) == (ours.eos_id, ours.bos_id)
    turns = [{"role": "user", "content": "Hello"}]
    assert theirs.apply_chat_template(turns, tokenize=False).startswith("<|im_start|>system\nYou are a helpful AI")
    back = load_tokenizer(folder)
    assert (back.fingerprint, back.chat_template) == (ours.fingerprint, ours.chat_template)

    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert reference.generation_config.eos_token_id == 2
    model, config = load_model(smollm2)
    assert open_checkpoint(folder).config == config
    ids = torch.tensor(ours.encode("The capital of France is Paris. In 2020 it had 2,145,906 inhabitants."))
    with torch.inference_mode():
        found = model.logits(model(ids, torch.arange(len(ids)), WholeSequence()))
        torch.testing.assert_close(found, reference(ids[None]).logits[0], atol=1e-4, rtol=0)


@pytest.fixture
def folder(tmp_path):
    """A tiny Hugging Face folder with a tokenizer that puts a BOS first."""
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.chat_template = "{{ bos_token }}{{ messages[0].content }}"
    source = tmp_path / "source"
    fast.save_pretrained(source)
    config = transformers.Qwen3Config(
        vocab_size=5,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=32,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=[1, 2],
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(source)
    return source


def test_a_folder_becomes_the_same_model_in_another_dtype(folder, tmp_path):
    target = tmp_path / "target"
    convert(folder, target, torch.bfloat16)
    checkpoint = open_checkpoint(target)
    assert checkpoint.config == open_checkpoint(folder).config
    assert (checkpoint.quantisation, json.loads((target / "config.json").read_text())["dtype"]) == ("BF16", "bfloat16")
    ours, theirs = load_tokenizer(target), transformers.AutoTokenizer.from_pretrained(target)
    assert (ours.add_bos, ours.bos_id, ours.encode("a b")) == (True, 0, [3, 4])
    assert theirs("a b").input_ids == [0, 3, 4]
    assert ours.chat_template == theirs.chat_template == "{{ bos_token }}{{ messages[0].content }}"
    expected = transformers.AutoModelForCausalLM.from_pretrained(folder).to(torch.bfloat16).state_dict()
    found = transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.bfloat16).state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_nothing_is_overwritten(folder, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    convert(folder, target)
    with pytest.raises(CheckpointError, match="target exists already; give the name of a new folder"):
        convert(folder, target)
    assert not list(tmp_path.glob("*.partial"))


def test_add_bos_token_of_the_configuration_wins(folder):
    path = folder / "tokenizer_config.json"
    values = json.loads(path.read_text())
    values["add_bos_token"] = False
    path.write_text(json.dumps(values))
    assert load_tokenizer(folder).add_bos is False
    del values["add_bos_token"]
    path.write_text(json.dumps(values))
    assert load_tokenizer(folder).add_bos is True
